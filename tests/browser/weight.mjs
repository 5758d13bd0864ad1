// What the first visit costs.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

const BYTES_MAX = 50_000;

/** The first page after signing in, with nothing in the cache: its octets on the wire, and whom it asks. */
export async function weight(world, browser) {
  const page = await browser.as('Grace Hopper');
  const wire = await page.context().newCDPSession(page);
  const asked = new Map();
  wire.on('Network.requestWillBeSent', ({ requestId, request }) => asked.set(requestId, { url: request.url, bytes: 0 }));
  wire.on('Network.responseReceived', ({ requestId, response }) => {
    asked.get(requestId).bytes += response.encodedDataLength;
  });
  wire.on('Network.dataReceived', ({ requestId, encodedDataLength }) => {
    asked.get(requestId).bytes += encodedDataLength;
  });
  wire.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    asked.get(requestId).bytes = encodedDataLength;
  });
  await wire.send('Network.enable');
  await page.goto('/console');
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await page.waitForLoadState('load');
  await pause(500);
  const requests = [...asked.values()];
  const bytes = requests.reduce((sum, request) => sum + request.bytes, 0);
  const listed = requests.map((request) => `${new URL(request.url).pathname} ${request.bytes}`).join(', ');
  assert.ok(requests.length >= 4 && requests.every((request) => request.url.startsWith(`${world.facts.console}/`)), listed);
  assert.ok(bytes > 0 && bytes < BYTES_MAX, `${bytes} bytes: ${listed}`);
  await page.context().close();
  return `${bytes} bytes in ${requests.length} requests (${listed})`;
}
