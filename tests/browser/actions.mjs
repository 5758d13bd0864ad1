// Every action, as a person does it; without JavaScript as well.
import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';

/** The address of an event's page. */
export const event = (id) => `/console/events/${id}`;

export const notice = async (page, words) => {
  assert.equal((await page.getByRole('status').first().innerText()).trim(), words);
};

const column = (page, n) => page.locator(`tbody tr > :nth-child(${n})`).allInnerTexts();
const button = (page, name) => page.getByRole('button', { name, exact: true });

/** `looks`: for what only a form leads to; none without JavaScript, where it is the same. */
export async function act(world, browser, looks) {
  const js = looks !== null, mode = js ? 'on' : 'off';
  const look = async (name) => looks?.at(page, name);
  const options = { javaScriptEnabled: js };
  const page = await browser.as('Grace Hopper', 'lead', options);
  await tabs(page);
  await filter(page);
  await paging(page);
  await replay(world, browser, page, mode, look);
  await replayCause(world, page, mode, look);
  await discard(world, page, mode);
  await settle(world, page, mode);
  await reveal(page, mode);
  await doctor(world, page, look);
  await audit(page, mode);
  await endSession(world, browser, page, options, mode);
  await signOut(browser, options);
  await page.context().close();
}

/** Every page of the navigation. */
async function tabs(page) {
  await page.goto('/console');
  const words = await page.getByRole('navigation').getByRole('link').allInnerTexts();
  assert.equal(words.length, 7, String(words));
  for (const word of words) {
    await page.getByRole('navigation').getByRole('link', { name: word, exact: true }).click();
    await page.locator('nav [aria-current=page]', { hasText: word }).waitFor();
    assert.ok((await page.locator('main').innerText()).length > 20, word);
  }
  await page.goto('/console/webhooks');
  await page.getByRole('link', { name: 'chatbot', exact: true }).click();
  await page.locator('summary').first().click();
  await page.getByText('x-webhook-signature: ab').first().waitFor();
}

async function filter(page) {
  await page.goto('/console/events');
  await page.getByRole('combobox', { name: 'State' }).selectOption('dead');
  await page.getByRole('combobox', { name: 'Source' }).selectOption('chatbot');
  await page.getByRole('textbox', { name: 'Kind' }).fill('conversation.escalated');
  await page.getByRole('textbox', { name: 'Since' }).fill('2h');
  await button(page, 'Filter').click();
  await page.waitForURL(/state=dead&source=chatbot&kind=conversation.escalated/);
  const states = await column(page, 4);
  assert.ok(states.length > 0 && states.every((state) => state.trim() === 'dead'), String(states));
  assert.ok((await column(page, 5)).every((source) => source === 'chatbot'));
  await page.getByRole('textbox', { name: 'Conversation' }).fill('conv_doubt_tour_0');
  await button(page, 'Filter').click();
  await page.waitForURL(/conversation=conv_doubt_tour_0/);
  assert.equal((await column(page, 2)).length, 1);
  await page.goto('/console/conversations');
  await page.getByRole('textbox', { name: 'Conversation' }).fill('conv_1');
  await button(page, 'Open').click();
  await page.getByRole('heading', { level: 1, name: 'Conversation conv_1', exact: true }).waitFor();
  await page.getByRole('link', { name: /^event / }).first().click();
  await page.getByRole('heading', { level: 1, name: /^Event / }).waitFor();
}

async function paging(page) {
  for (const [path, rows, n] of [['/console/events', 50, 2], ['/console/conversations', 50, 1], ['/console/audit', 100, 1]]) {
    await page.goto(path);
    const first = await column(page, n);
    // Conversations of one millisecond stay on one page.
    const more = path.endsWith('conversations') ? 20 : 0;
    assert.ok(first.length >= rows && first.length <= rows + more, `${path}: ${first.length}`);
    await page.getByRole('link', { name: 'Older', exact: true }).click();
    await page.waitForURL(/before=/);
    const second = await column(page, n);
    assert.ok(second.length > 0, path);
    if (n === 2) assert.ok(Number(second[0]) < Number(first.at(-1)), 'each event is on one page');
    if (path.endsWith('conversations')) assert.equal(new Set([...first, ...second]).size, first.length + second.length);
  }
}

async function replay(world, browser, page, mode, look) {
  const ids = await world.refused(`one_${mode}`, 4);
  await page.goto(event(ids[0]));
  await button(page, 'Replay').click();
  await notice(page, 'The event is queued again.');
  await world.until(`conv_refused_one_${mode}_0`, 'done', 1);
  await page.goto(event(ids[0]));
  assert.equal(await button(page, 'Replay').count(), 0, 'what is done is not replayed');

  await page.goto('/console/events?state=dead&source=chatbot');
  await browser.expecting([422], async () => {
    await button(page, 'Replay selected …').click();
    await page.getByText('No event is selected.').waitFor();
  });
  await page.goto('/console/events?state=dead&source=chatbot');
  for (const id of ids.slice(1)) await page.getByRole('checkbox', { name: `Select event ${id}`, exact: true }).check();
  await button(page, 'Replay selected …').click();
  await page.getByText('3 of 3 events will be queued again.').waitFor();
  await look('preview-replay');
  await button(page, 'Replay 3').click();
  await notice(page, '3 events are queued again.');
  await look('events-replayed');
  await world.until(`conv_refused_one_${mode}_`, 'done', 4);
}

async function replayCause(world, page, mode, look) {
  await world.refused(`cause_${mode}`, 5, 'escalation');
  const dead = "SELECT count(*) AS n FROM events WHERE state = 'dead' AND source = 'escalation'";
  const [{ n }] = world.rows(dead);
  await page.goto('/console/dead');
  const row = page.getByRole('row').filter({ has: page.getByRole('cell', { name: 'escalation', exact: true }) });
  assert.equal(await row.getByRole('rowheader').innerText(), String(n));
  await row.getByRole('button', { name: 'Replay …' }).click();
  await page.getByText(`${n} of ${n} events will be queued again.`).waitFor();
  // What arrives after the preview is not in its count.
  await world.refused(`late_${mode}`, 1, 'escalation');
  await button(page, `Replay ${n}`).click();
  await notice(page, `${n} events are queued again.`);
  await world.until(`conv_refused_cause_${mode}_`, 'done', 5);
  assert.equal(world.rows(dead)[0].n, 1, 'the late one');

  await page.goto('/console/events?state=dead&source=escalation');
  await page.getByRole('checkbox', { name: 'all that the filter fits' }).check();
  await button(page, 'Discard selected …').click();
  await page.getByText('1 of 1 events will be discarded.').waitFor();
  await look('preview-discard');
  await page.getByRole('textbox', { name: 'Reason' }).fill(`late and not wanted, ${mode}`);
  await button(page, 'Discard 1').click();
  await notice(page, 'The event is discarded.');
  assert.equal(world.events(`conv_refused_late_${mode}_`)[0].state, 'discarded');
}

async function discard(world, page, mode) {
  const [id] = await world.refused(`discard_${mode}`, 1);
  await page.goto(event(id));
  const form = page.getByRole('region', { name: 'Discard' });
  await form.getByRole('textbox', { name: 'Reason' }).fill('no');
  await form.getByRole('button', { name: 'Discard' }).click();
  assert.equal(world.events(`conv_refused_discard_${mode}_`)[0].state, 'dead', 'a reason is longer');
  await form.getByRole('textbox', { name: 'Reason' }).fill(`a test of ours, ${mode}`);
  await form.getByRole('button', { name: 'Discard' }).click();
  await notice(page, 'The event is discarded.');
  assert.equal(world.events(`conv_refused_discard_${mode}_`)[0].state, 'discarded');
}

async function settle(world, page, mode) {
  const [found, absent] = await world.inDoubt(mode, 2);
  await page.goto(event(found));
  assert.equal(await button(page, 'Replay').count(), 0, 'nobody knows whether it was done');
  await page.getByRole('textbox', { name: 'Id of the ticket or note that exists' }).fill('HD-77');
  await button(page, 'It exists').click();
  await notice(page, 'The effect is settled.');
  const [settled] = world.events(`conv_doubt_${mode}_0`);
  assert.deepEqual([settled.state, settled.receipt, settled.in_doubt], ['done', 'ticket:HD-77', 0]);
  await page.goto(event(absent));
  await button(page, 'It does not exist: process the event again').click();
  await notice(page, 'The event is queued again.');
  await world.until(`conv_doubt_${mode}_1`, 'done', 1);
}

async function reveal(page, mode) {
  const words = 'The parcel of conv_1 is lost';
  await page.goto('/console/conversations/conv_1');
  await page.getByRole('link', { name: /^event / }).first().click();
  const payload = page.locator('pre.payload');
  assert.ok(!(await payload.innerText()).includes('parcel'), 'nothing is revealed');
  const form = page.getByRole('region', { name: 'What came' });
  await form.getByRole('textbox', { name: 'Reason' }).fill(`the customer asked, ${mode}`);
  await button(page, 'Show what the customer wrote').click();
  await page.getByText(words).waitFor();
}

async function doctor(world, page, look) {
  const body = world.payload('conversation.ended', 'conv_1');
  const ask = async (sent, signature, secret) => {
    await page.goto('/console/webhooks/chatbot/doctor');
    await page.getByRole('textbox', { name: 'Headers' }).fill(`x-webhook-signature: ${signature}`);
    await page.getByRole('textbox', { name: 'Body' }).fill(sent);
    if (secret) await page.getByLabel('Another secret').fill(secret);
    await button(page, 'Verify').click();
    const said = await page.getByRole('status').innerText();
    const content = await page.content();
    const expected = [world.sign(sent), world.facts.webhookSecret].filter((value) => value !== signature);
    for (const value of expected) assert.ok(!content.includes(value), 'what would be right is not shown');
    return said;
  };
  assert.match(await ask(body, world.sign(body)), /The signature is good\.[^]*conversation\.ended/);
  await look('doctor-good');
  assert.match(await ask(body, world.sign(body), 'another-secret-of-ours'), /Refused/);
  const changed = JSON.stringify(JSON.parse(body), null, 2);
  assert.match(await ask(changed, world.sign(body)), /something on the way has changed it[^]*differ from byte 2/);
  await look('doctor-changed');
  assert.match(await ask(body.replace('conv_1', 'conv_2'), world.sign(body)), /right for none of the usual changes/);
}

async function audit(page, mode) {
  for (const [tool, reason] of [['events discard', 'a test of ours'], ['console reveal', 'the customer asked']]) {
    await page.goto('/console/audit');
    await page.getByRole('textbox', { name: 'Tool' }).fill(tool);
    await button(page, 'Filter').click();
    await page.getByText(`Grace Hopper: ${reason}, ${mode}`).first().waitFor();
  }
  const [download] = await Promise.all([
    page.waitForEvent('download'), page.getByRole('link', { name: 'Download as JSON Lines' }).click(),
  ]);
  const lines = (await text(await download.createReadStream())).trim().split('\n').map((line) => JSON.parse(line));
  assert.ok(lines.length > 0 && lines.every((line) => line.tool === 'console reveal'), JSON.stringify(lines[0]));
}

/** Somebody's session is ended while a form of theirs is open. */
async function endSession(world, browser, page, options, mode) {
  const [id] = await world.inDoubt(`ended_${mode}`, 1);
  const other = await browser.as('Olga Operator', 'operator', options);
  await other.goto(event(id));
  await other.getByRole('textbox', { name: 'Id of the ticket or note that exists' }).fill('HD-1');
  await page.goto('/console/people');
  const own = page.getByRole('row').filter({ hasText: 'Grace Hopper (you)' });
  assert.equal(await own.getByRole('button').count(), 0);
  const row = page.getByRole('row').filter({ hasText: 'Olga Operator' });
  await browser.expecting([401], async () => {
    await row.getByRole('button', { name: 'End' }).click();
    await notice(page, 'The session is ended.');
    assert.equal(await row.count(), 0);
    if (options.javaScriptEnabled) await other.getByText('This page is no longer up to date').waitFor();
    await button(other, 'It exists').click();
    await other.getByText('Nobody is signed in here, or the session has ended. Nothing was changed.').waitFor();
    await other.getByRole('link', { name: /sign in/i }).first().waitFor();
  });
  assert.equal(world.events(`conv_doubt_ended_${mode}_`)[0].state, 'dead', 'nothing was changed');
  await other.context().close();
  browser.forget('Olga Operator', 'operator');
}

async function signOut(browser, options) {
  const page = await browser.as('Vera Viewer', 'viewer', options);
  await page.goto('/console');
  await button(page, 'Sign out').click();
  await page.waitForURL(/\/console\/login$/);
  assert.deepEqual(await page.context().cookies(), []);
  await browser.expecting([401], async () => {
    await page.goto('/console');
    await page.getByText('Nobody is signed in here').waitFor();
  });
  await page.context().close();
  browser.forget('Vera Viewer', 'viewer');
}
