// Drives the console in a real browser, against the real binary. Usage: console.mjs FACTS [PART…]
// FACTS is the JSON that tests/it/console/browser.rs hands over; PART is the name of a part below, all by default.
import { act } from './actions.mjs';
import { Browser } from './browser.mjs';
import { hostile } from './hostile.mjs';
import { live } from './live.mjs';
import { Looks, tour } from './pages.mjs';
import { weight } from './weight.mjs';
import { World } from './world.mjs';

const [json, ...only] = process.argv.slice(2);
const facts = JSON.parse(json);
const world = new World(facts);
facts.link = (person, role) => world.link(person, role);
const browser = await Browser.launch(facts);
const looks = new Looks(facts);

const parts = {
  pages: () => tour(world, browser, looks),
  weight: () => weight(world, browser),
  actions: () => act(world, browser, looks),
  withoutJavaScript: () => act(world, browser, null),
  live: () => live(world, browser),
  hostile: () => hostile(world, browser, looks),
};

try {
  await world.fill();
  for (const [name, run] of Object.entries(parts)) {
    if (only.length > 0 && !only.includes(name)) continue;
    const begun = performance.now();
    const said = await run();
    browser.check(name);
    console.log(`ok ${name} in ${Math.round(performance.now() - begun)} ms${said ? `: ${said}` : ''}`);
  }
  console.log(`${looks.seen.size} pages looked at, ${looks.rules.size} rules of axe-core passed`);
} finally {
  await browser.close();
}
