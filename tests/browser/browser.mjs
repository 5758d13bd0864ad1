// The browser: contexts of people who are signed in, and a watch over what their pages do.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

/** Chromium with what the tests need of it. */
export class Browser {
  static async launch(facts) {
    const { chromium } = createRequire(`${facts.clients}/package.json`)('playwright-core');
    const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    const browser = await chromium.launch({ executablePath: facts.chromium, headless: true, args });
    return Object.assign(new Browser(), { facts, browser, states: new Map(), faults: [], expected: [] });
  }

  close() {
    return this.browser.close();
  }

  /** A context in which every page is watched. */
  async context(options = {}) {
    const context = await this.browser.newContext({ baseURL: this.facts.console, locale: 'en-GB', ...options });
    context.setDefaultTimeout(10_000);
    // What hostile texts would call.
    await context.exposeFunction('canary', (what) => this.faults.push(`a payload ran: ${what}`));
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
      });
    });
    context.on('page', (page) => this.watch(page));
    return context;
  }

  watch(page) {
    const fault = (what) => {
      if (!this.expected.some((expected) => what.includes(expected))) this.faults.push(`${page.url()}: ${what}`);
    };
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) fault(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => fault(`script: ${error}`));
    page.on('dialog', (dialog) => {
      fault(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (!['data:', 'blob:'].includes(url.protocol) && url.origin !== this.facts.console) fault(`asks ${url}`);
    });
  }

  /** What pages have done that they must not do. */
  check(where) {
    assert.deepEqual(this.faults, [], where);
  }

  /** Runs `work`, in which the browser reports answers with these statuses. */
  async expecting(statuses, work) {
    this.expected = statuses.map((status) => `the server responded with a status of ${status}`);
    try {
      return await work();
    } finally {
      this.expected = [];
    }
  }

  /** A page of somebody, who signs in by a link the first time. */
  async as(person, role = 'lead', options = {}) {
    const key = `${person} ${role}`;
    if (!this.states.has(key)) {
      const context = await this.context();
      const page = await context.newPage();
      await page.goto(this.facts.link(person, role));
      await page.getByRole('button', { name: /^Sign in as / }).click();
      await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
      this.states.set(key, await context.storageState());
      await context.close();
    }
    return (await this.context({ storageState: this.states.get(key), ...options })).newPage();
  }

  /** Whoever comes next as this person signs in anew. */
  forget(person, role = 'lead') {
    this.states.delete(`${person} ${role}`);
  }
}
