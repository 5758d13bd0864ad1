// Every page, looked at: at two widths, light and dark, by axe-core, and for what does not fit.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const WIDTHS = [1280, 390];
/** What is further down repeats itself. */
const HEIGHT_MAX = 1_400;
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'];

export class Looks {
  constructor(facts) {
    this.screenshots = facts.screenshots;
    this.axe = readFileSync(createRequire(`${facts.clients}/package.json`).resolve('axe-core/axe.min.js'), 'utf8');
    this.seen = new Set();
    this.rules = new Set();
  }

  /** Looks at the page that is open. */
  async at(page, name) {
    this.seen.add(name);
    await page.evaluate(this.axe);
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 800 });
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        const path = `${this.screenshots}/${name}-${width}-${colorScheme}.png`;
        const tall = await page.evaluate(() => document.documentElement.scrollHeight);
        const clip = { x: 0, y: 0, width, height: Math.min(tall, HEIGHT_MAX) };
        // Playwright would hide the caret by a style that the policy of the page forbids.
        await page.screenshot({ path, fullPage: true, clip, caret: 'initial' });
        const where = `${name} at ${width} px, ${colorScheme}`;
        await this.#fits(page, where);
        // Each width once and each scheme once: what axe-core finds in one page does not depend on both.
        if ((width === 1280) === (colorScheme === 'light')) await this.#accessible(page, where);
      }
    }
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 1280, height: 800 });
  }

  async #fits(page, where) {
    const wide = await page.evaluate(() => {
      const room = document.documentElement.clientWidth;
      if (document.documentElement.scrollWidth <= room) return [];
      const sticksOut = (one) => one.getBoundingClientRect().right > room && !one.closest('.scroll');
      return [...document.querySelectorAll('body *')].filter(sticksOut).map((one) => one.outerHTML.slice(0, 120));
    });
    assert.deepEqual(wide, [], `${where} scrolls sideways`);
  }

  async #accessible(page, where) {
    const found = await page.evaluate(async (values) => {
      const { violations, passes } = await axe.run({ runOnly: { type: 'tag', values }, resultTypes: ['violations'] });
      return {
        passes: passes.map((rule) => rule.id),
        violations: violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html).join(' ')}`),
      };
    }, RULES);
    assert.deepEqual(found.violations, [], where);
    found.passes.forEach((rule) => this.rules.add(rule));
  }
}

/** What strangers see, and every page of a lead and of a viewer. */
export async function tour(world, browser, looks) {
  const stranger = await (await browser.context()).newPage();
  await browser.expecting([401], async () => {
    await stranger.goto('/console/login');
    await looks.at(stranger, 'sign-in');
    await stranger.goto('/console/events');
    await looks.at(stranger, 'nobody');
    await stranger.goto(world.facts.console + '/console/login/link?token=spent');
    await looks.at(stranger, 'link-spent');
    await stranger.goto(world.link('Somebody Else', 'viewer'));
    await looks.at(stranger, 'link');
  });
  await stranger.context().close();

  const page = await browser.as('Grace Hopper');
  const visit = async (name, path, heading) => {
    await page.goto(path);
    await page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor();
    await looks.at(page, name);
  };
  const [dead] = world.events('conv_refused_tour_');
  const [doubt] = world.events('conv_doubt_tour_');
  const [done] = world.events('conv_1');
  const [waits] = world.events('conv_later_');
  const [{ id: quarantined }] = world.rows("SELECT id FROM events WHERE state = 'quarantined'");
  await visit('overview', '/console', 'Overview');
  await visit('conversations', '/console/conversations', 'Conversations');
  await visit('conversation', '/console/conversations/conv_1', 'Conversation conv_1');
  await visit('conversation-unknown', '/console/conversations/none', 'Conversation none');
  await visit('events', '/console/events', 'Events');
  await visit('events-none', '/console/events?kind=none&since=1d', 'Events');
  await visit('event-dead', `/console/events/${dead.id}`, `Event ${dead.id}`);
  await visit('event-in-doubt', `/console/events/${doubt.id}`, `Event ${doubt.id}`);
  await visit('event-done', `/console/events/${done.id}`, `Event ${done.id}`);
  await visit('event-waits', `/console/events/${waits.id}`, `Event ${waits.id}`);
  await visit('event-quarantined', `/console/events/${quarantined}`, `Event ${quarantined}`);
  await visit('dead', '/console/dead', 'Dead letters');
  await visit('webhooks', '/console/webhooks', 'Webhook sources');
  await visit('webhooks-rejected', '/console/webhooks/chatbot', 'Webhooks of chatbot');
  await page.locator('summary').first().click();
  await looks.at(page, 'webhooks-rejected-open');
  await visit('webhooks-none', '/console/webhooks/escalation', 'Webhooks of escalation');
  await visit('doctor', '/console/webhooks/chatbot/doctor', 'Doctor for chatbot');
  await visit('audit', '/console/audit', 'Audit');
  await visit('audit-none', '/console/audit?tool=none', 'Audit');
  await visit('people', '/console/people', 'People');
  await browser.expecting([404, 422], async () => {
    await visit('not-found', '/console/nothing', 'Not done');
    await visit('input', '/console/events?since=yesterday', 'Not done');
  });
  await keyboard(page);
  await page.context().close();

  const viewer = await browser.as('Vera Viewer', 'viewer');
  for (const [name, path] of [
    ['viewer-events', '/console/events'], ['viewer-event', `/console/events/${doubt.id}`],
    ['viewer-dead', '/console/dead'], ['viewer-people', '/console/people'], ['viewer-rejected', '/console/webhooks/chatbot'],
  ]) {
    await viewer.goto(path);
    const buttons = await viewer.locator('main form[method=post] button:visible').count();
    assert.equal(buttons, 0, `${name}: a viewer changes nothing`);
    await looks.at(viewer, name);
  }
  await viewer.context().close();
}

/** The first stop leads past the navigation, and the keyboard gets everywhere. */
async function keyboard(page) {
  await page.goto('/console/people');
  await page.keyboard.press('Tab');
  const focused = () => page.evaluate(() => document.activeElement.textContent || document.activeElement.id);
  assert.equal(await focused(), 'Skip to the content');
  const skip = await page.locator('.skip').boundingBox();
  assert.ok(skip.x >= 0, 'it is seen when it has the focus');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  await page.goto('/console');
  const stops = [];
  for (let n = 0; n < 8; n += 1) {
    await page.keyboard.press('Tab');
    stops.push(await focused());
  }
  assert.deepEqual(stops.slice(1), ['frontdesk', 'Overview', 'Conversations', 'Events', 'Dead letters', 'Webhooks', 'Audit']);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Audit' }).waitFor();
}
