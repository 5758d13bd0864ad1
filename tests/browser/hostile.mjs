// What strangers write into every field that is shown: nothing runs, nothing breaks a page, nothing hides.
import assert from 'node:assert/strict';

const MARKUP = `"><script>canary("script")</script><svg onload='canary("svg")'></svg><img src=x onerror='canary("img")'>`
  + `</pre></textarea></title><iframe srcdoc='<script>parent.canary("frame")</script>'></iframe>`
  + `' onfocus=canary("attribute") autofocus x='{{7*7}} <a href='javascript:canary("link")'>go</a>`;
// Overrides of direction, an ANSI escape, a bell, a C1 control, zero widths, NUL.
const HIDDEN = 'exe.\u202egnp\u2066 \u001b[31mred\u0007\u009b \u200bx\ufeff\u0000 e\u0301';
const HOSTILE = MARKUP + HIDDEN;
/** What a form can send back as it is. */
const STORED = HOSTILE.replaceAll('\u0000', '');
const LINE = 'x'.repeat(1_000_000);
/** An id has no spaces and no control characters. */
const ID = `"><svg/onload=canary("id")><img/src=x/onerror=canary("id")>\u202egnp.exe\u200b`;
const PERSON = `"><img src=x onerror=canary("person")>\u202eHopper`;

/** What a text shows of its hidden characters. */
const VISIBLE = ['⟨U+202E⟩', '␛[31m', '␇', '⟨U+009B⟩', '⟨U+200B⟩', '⟨U+FEFF⟩'];
/** In JSON, control characters are escaped already. */
const VISIBLE_IN_JSON = ['⟨U+202E⟩', '\\u001b[31m', '\\u0007', '⟨U+009B⟩', '⟨U+200B⟩', '⟨U+FEFF⟩', '\\u0000'];
const VISIBLE_OF_ID = ['⟨U+202E⟩', '⟨U+200B⟩'];

export async function hostile(world, browser, looks) {
  const page = await browser.as(PERSON);
  const seen = [];
  const look = async (name, visible = []) => {
    const found = await page.evaluate(() => {
      const ours = 'main script, main img, main iframe, main svg:not(.spark), main [onload], main [onerror], '
        + 'main [onfocus], main [autofocus], main a[href^="javascript:"], main style, main link';
      const strange = [...document.querySelectorAll(ours)].map((one) => one.outerHTML.slice(0, 200));
      // What is typed into a field is sent as it is; everything else is text.
      const copy = document.body.cloneNode(true);
      copy.querySelectorAll('textarea').forEach((one) => one.remove());
      const text = document.title + copy.textContent;
      const raw = text.match(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g);
      return { strange, raw: (raw ?? []).map((one) => one.codePointAt(0).toString(16)), text };
    });
    assert.deepEqual([found.strange, found.raw], [[], []], name);
    for (const sign of visible) assert.ok(found.text.includes(sign), `${name}: ${sign} in ${found.text.slice(0, 600)}`);
    await page.setViewportSize({ width: 390, height: 800 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    await page.setViewportSize({ width: 1280, height: 800 });
    assert.ok(wide <= 0, `${name} is ${wide} px too wide`);
    browser.check(name);
    seen.push(name);
  };
  const visit = async (name, path, visible) => {
    await page.goto(path);
    await look(name, visible);
  };
  const { event, list } = await plant(world);
  await visit('the overview', '/console', VISIBLE);
  await visit('the events', `/console/events?source=${encodeURIComponent(STORED)}`, VISIBLE);
  await visit('events by a filter', `/console/events?kind=${encodeURIComponent(HOSTILE)}&conversation=${encodeURIComponent(ID)}`);
  await page.goto('/console/dead');
  const row = page.getByRole('row').filter({ hasText: 'exe.' }).first();
  const id = await row.locator('input[name=cause]').first().getAttribute('value');
  await visit('events of a cause', `/console/events?cause=${id}`, VISIBLE);
  await visit('an event', `/console/events/${event}`, VISIBLE);
  await looks.at(page, 'hostile-event');
  await page.getByRole('region', { name: 'What came' }).getByRole('textbox').fill(`look ${MARKUP} \u202etac`);
  await page.getByRole('button', { name: 'Show what the customer wrote' }).click();
  await page.getByText('"name"').or(page.getByText('characters)')).first().waitFor();
  await look('what came', VISIBLE_IN_JSON);
  await looks.at(page, 'hostile-revealed');
  await visit('an event with a name of 10,000 members', `/console/events/${list}`);
  await visit('dead letters', '/console/dead', VISIBLE);
  await looks.at(page, 'hostile-dead');
  const cause = page.getByRole('row').filter({ hasText: 'exe.' }).first();
  await cause.getByRole('button', { name: 'Discard …' }).click();
  await page.getByText('1 of 1 events will be discarded.').waitFor();
  await look('a preview', VISIBLE);
  await visit('conversations', '/console/conversations', VISIBLE_OF_ID);
  await looks.at(page, 'hostile-conversations');
  await page.getByRole('link', { name: 'gnp.exe' }).first().click();
  await page.getByRole('heading', { level: 1, name: /^Conversation/ }).waitFor();
  await look('a conversation', VISIBLE_OF_ID);
  await looks.at(page, 'hostile-conversation');
  await visit('the audit', '/console/audit', VISIBLE);
  await looks.at(page, 'hostile-audit');
  const quoted = encodeURIComponent(HOSTILE);
  await visit('the audit by a filter', `/console/audit?tool=${quoted}&agent=${quoted}&object=${quoted}`);
  await visit('webhook sources', '/console/webhooks');
  await visit('rejected webhooks', '/console/webhooks/chatbot', ['⟨U+202E⟩', '␛[31m', '␀', '1000000 bytes']);
  for (const summary of await page.locator('summary').all()) await summary.click();
  await look('rejected webhooks, open');
  await looks.at(page, 'hostile-rejected');
  await doctor(page, look);
  await visit('people', '/console/people', ['⟨U+202E⟩']);
  await looks.at(page, 'hostile-people');
  await browser.expecting([404, 422], async () => {
    await visit('no page', `/console/${quoted}`);
    await visit('no source', `/console/webhooks/${encodeURIComponent(ID)}`, VISIBLE_OF_ID);
    await visit('no conversation', `/console/conversations/${quoted}`);
    await visit('no state', `/console/events?state=${quoted}`, VISIBLE);
    await visit('no time', `/console/events?since=${quoted}`);
  });
  await visit('no notice', `/console/events?done=${quoted}`);
  await page.context().close();
  return `${seen.length} pages`;
}

async function doctor(page, look) {
  await page.goto('/console/webhooks/chatbot/doctor');
  await page.getByRole('textbox', { name: 'Headers' }).fill('x-webhook-signature: "><img src=x onerror=canary(1)>');
  await page.getByRole('textbox', { name: 'Body' }).fill(HOSTILE);
  await page.getByRole('button', { name: 'Verify' }).click();
  await page.getByRole('status').waitFor();
  await look('the doctor');
  // HTML has no NUL, and a field no lone carriage return.
  assert.equal(await page.getByRole('textbox', { name: 'Body' }).inputValue(), HOSTILE.replaceAll('\u0000', '\ufffd'));
}

/** Hostile texts by the ways that strangers have; and into the store, where a fault of ours would have put them. */
async function plant(world) {
  const messages = [
    { role: 'user', content: HOSTILE }, { role: 'user', content: LINE },
    { role: HOSTILE, content: HIDDEN },
  ];
  await world.escalate(ID, 'chatbot', { customerName: HOSTILE, messages });
  await world.until('"><svg', 'done', 1);
  await world.call('lookup_order', { order_id: '1001' }, ID);
  await world.call('lookup_order', { order_id: ID.slice(0, 60) }, ID);
  await world.call('lookup_order', { order_id: HOSTILE.slice(0, 60) }, 'conv_hostile');
  const members = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`member_${n}`, 'x']));
  await world.escalate('conv_members', 'chatbot', { metadata: { ...members, escalationReason: HOSTILE } });
  await world.post('chatbot', JSON.stringify({ event: HOSTILE, data: members }));
  await world.post('chatbot', JSON.stringify({ event: 'conversation.ended', data: { [HOSTILE]: HOSTILE } }));
  const bad = { 'x-webhook-signature': 'ab' };
  await world.post('chatbot', HOSTILE, { ...bad, 'user-agent': MARKUP, 'x-more': '"><img src=x onerror=canary(2)>\u009b\u00ad' });
  await world.post('chatbot', LINE, bad);
  await world.post('chatbot', JSON.stringify(members), bad);
  await world.post('chatbot', '\u0000'.repeat(1_000), bad);

  await world.refused('hostile', 1);
  const [{ id: event }] = world.events('conv_refused_hostile_');
  const payload = JSON.stringify({ kind: HOSTILE, name: HOSTILE, [HOSTILE]: LINE });
  world.change('UPDATE events SET source = ?, kind = ?, error = ?, conversation = ?, payload = ? WHERE id = ?',
    STORED, STORED, `${STORED}\nnext`, ID, payload, event);
  const [{ id: list }] = world.events('conv_members');
  world.change(`INSERT INTO audit (at, agent, conversation, tool, verdict, objects, fields, effect, staff, reason)
    VALUES (?, ?, ?, ?, 'allowed', ?, '[]', 'none', ?, ?)`,
  Date.now(), HOSTILE, ID, HOSTILE, JSON.stringify([`order:${HOSTILE}`, HIDDEN]), HOSTILE, HOSTILE);
  return { event, list };
}
