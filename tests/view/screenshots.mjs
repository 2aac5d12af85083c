// Makes the pictures of README.md and docs/, light and dark, from the page of a profile with recorded spans, as `make demo` leaves it:
//
//   OTELPROF_NODE_MODULES=FOLDER node screenshots.mjs build/demo/profile.html docs/images
//
// It chooses what to show by the numbers in the page: the local root with the most samples and its trace, and a span without any.
import fs from 'node:fs';
import path from 'node:path';
import {launch, open, split, view} from './browser.mjs';

const kMostBytes = 200e3;  // of one picture
const NONE = -1;

// The address of each picture's view, by its name.
function viewsOf(document) {
  const samples = new Map();
  for (const [, span, , , count] of document.samples) if (span !== NONE) samples.set(span, (samples.get(span) || 0) + count);
  const spans = document.spans.map(([id, trace, , name, , duration, , , , , profiled]) =>
    ({id, trace, name: document.strings[name], duration, own: profiled === id, samples: samples.get(id) || 0}));
  const roots = spans.filter((span) => span.own).sort((a, b) => b.samples - a.samples);
  const most = roots[0];
  const none = roots.find((span) => span.samples === 0);
  if (!most?.samples || !none) throw new Error('the page needs a local root with samples and one without: record for longer');
  return {
    'viewer-operations': '#/operations',
    'viewer-operation': `#/op/${encodeURIComponent(most.name)}`,
    'viewer-trace': `#/trace/${document.ids[most.trace]}`,
    'viewer-span': `#/span/${document.ids[most.id]}?frames=own`,
    'viewer-empty': `#/span/${document.ids[none.id]}`,
    'viewer-process': '#/process?q=deflate',
  };
}

const [file, folder] = process.argv.slice(2);
const views = viewsOf(JSON.parse(split(file).data));
const browser = await launch();
for (const scheme of ['light', 'dark']) {
  const told = [];
  const page = await open(browser, scheme, told);
  for (const [name, hash] of Object.entries(views)) {
    await view(page, path.resolve(file), hash);
    await page.waitForTimeout(300);
    const picture = path.join(folder, `${name}-${scheme}.png`);
    const {width, height} = page.viewportSize();
    const used = await page.evaluate(() => Math.ceil(document.querySelector('main').lastElementChild.getBoundingClientRect().bottom) + 24);
    await page.screenshot({path: picture, clip: {x: 0, y: 0, width, height: Math.min(height, used)}});
    const bytes = fs.statSync(picture).size;
    console.log(`${picture} ${bytes}`);
    if (bytes > kMostBytes) throw new Error(`${picture} has ${bytes} bytes, over ${kMostBytes}`);
  }
  await page.context().close();
  if (told.length > 0) throw new Error(told.join('\n'));
}
await browser.close();
