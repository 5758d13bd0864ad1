// Pages that keep themselves up to date, two tabs of one person, and sessions that end.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { event, notice } from './actions.mjs';

const button = (page, name) => page.getByRole('button', { name, exact: true });
const link = (page, name) => page.getByRole('link', { name, exact: true });

export async function live(world, browser) {
  const page = await browser.as('Grace Hopper');
  await updates(world, page);
  await chosen(world, page);
  await scrolled(world, page);
  await twoTabs(world, page);
  await page.context().close();
  await ended(world, browser);
}

/** Opens a page, and marks its document, to see later that it is still the same. */
async function open(page, path) {
  await page.goto(path);
  await page.evaluate(() => { window.marker = true; });
}

const same = (page) => page.evaluate(() => window.marker === true);

/** What arrives is seen without a reload, unless updates are paused. */
async function updates(world, page) {
  await open(page, '/console/events');
  await world.escalate('conv_live_1');
  await link(page, 'conv_live_1').waitFor();
  assert.ok(await same(page));
  await button(page, 'Pause updates').click();
  const paused = page.getByRole('button', { name: 'Updates are paused', pressed: true });
  await paused.waitFor();
  await world.escalate('conv_live_2');
  await world.until('conv_live_2', 'done', 1);
  await pause(2_500);
  assert.equal(await link(page, 'conv_live_2').count(), 0, 'updates are paused');
  await paused.click();
  await link(page, 'conv_live_2').waitFor();
  assert.ok(await same(page));

  await open(page, '/console');
  const tile = page.locator('.tiles').getByRole('link', { name: /dead letters/ });
  const before = Number.parseInt(await tile.innerText(), 10);
  const [id] = await world.refused('live', 1);
  await page.locator('.tiles').getByRole('link', { name: `${before + 1} dead letters` }).waitFor();
  assert.ok(await same(page));

  await open(page, event(id));
  await button(page, 'Replay').click();
  await notice(page, 'The event is queued again.');
  await page.locator('dd .state', { hasText: 'done' }).waitFor();
}

/** What somebody is choosing is not taken away, and comes up to date when they are done. */
async function chosen(world, page) {
  const [id] = await world.refused('chosen', 1);
  await open(page, '/console/events');
  const box = page.getByRole('checkbox', { name: `Select event ${id}`, exact: true });
  await box.check();
  await world.escalate('conv_live_3');
  await pause(2_500);
  assert.ok(await box.isChecked());
  assert.equal(await link(page, 'conv_live_3').count(), 0);
  await box.uncheck();
  await page.getByRole('heading', { level: 1 }).click();
  await link(page, 'conv_live_3').waitFor();
  const all = page.getByRole('checkbox', { name: 'Select all on this page' });
  await all.check();
  assert.equal(await page.locator('input[name=id]:checked').count(), 50);
  await all.uncheck();
  assert.equal(await page.locator('input[name=id]:checked').count(), 0);
}

/** A table that is scrolled and has the focus stays where it is, and is kept up to date. */
async function scrolled(world, page) {
  await page.setViewportSize({ width: 390, height: 800 });
  await open(page, '/console/events');
  const table = page.getByRole('region', { name: 'Events' });
  await table.focus();
  await table.evaluate((one) => { one.scrollLeft = 120; });
  await world.escalate('conv_live_4');
  await link(page, 'conv_live_4').waitFor();
  assert.deepEqual(await table.evaluate((one) => [one.scrollLeft, one === document.activeElement]), [120, true]);
  await page.setViewportSize({ width: 1280, height: 800 });
}

/** Two tabs of one person: what one has done is not done again by the other. */
async function twoTabs(world, first) {
  const ids = await world.refused('tabs', 2);
  const second = await first.context().newPage();
  await first.goto('/console/events?state=dead&source=chatbot');
  for (const id of ids) await first.getByRole('checkbox', { name: `Select event ${id}`, exact: true }).check();
  await button(first, 'Replay selected …').click();
  await first.getByText('2 of 2 events will be queued again.').waitFor();
  await second.goto(event(ids[0]));
  await button(second, 'Replay').click();
  await notice(second, 'The event is queued again.');
  await world.until('conv_refused_tabs_0', 'done', 1);
  await button(first, 'Replay 2').click();
  await notice(first, 'The event is queued again.');
  await world.until('conv_refused_tabs_', 'done', 2);

  const [id] = await world.refused('faster', 1);
  await first.goto(event(id));
  await second.goto(event(id));
  await button(second, 'Replay').click();
  await world.until('conv_refused_faster_', 'done', 1);
  const form = first.getByRole('region', { name: 'Discard' });
  await form.getByRole('textbox', { name: 'Reason' }).fill('it is of no use');
  await form.getByRole('button', { name: 'Discard' }).click();
  await notice(first, 'Nothing was changed: somebody else was faster, or the event is in another state now.');
  assert.equal(world.events('conv_refused_faster_')[0].state, 'done');
  await second.close();
}

/** A page whose session ends says so; what it shows, and what somebody has typed, stays. */
async function ended(world, browser) {
  const [id] = await world.refused('leaves', 1);
  const page = await browser.as('Lea Leaves', 'operator');
  await open(page, event(id));
  await browser.expecting([401], async () => {
    world.change("UPDATE console_sessions SET expires_at = 0 WHERE person = 'Lea Leaves'");
    await world.escalate('conv_live_5');
    await page.getByText('This page is no longer up to date').waitFor();
    assert.ok(await page.getByText('not accepted (status 422)').isVisible(), 'what it showed is still there');
    assert.ok(await same(page));
    await button(page, 'Replay').click();
    await page.getByText('Nobody is signed in here, or the session has ended. Nothing was changed.').waitFor();
  });
  assert.equal(world.events('conv_refused_leaves_')[0].state, 'dead', 'nothing was changed');
  await page.context().close();
}
