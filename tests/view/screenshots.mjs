// Makes the pictures of docs/: the pages of a profile, light and dark.
//
//   OTELPROF_NODE_MODULES=FOLDER node screenshots.mjs PAGE.html OUT_FOLDER [NAME=#/HASH ..]
import path from 'node:path';
import {launch, open, view} from './browser.mjs';

const [file, folder, ...views] = process.argv.slice(2);
const browser = await launch();
for (const scheme of ['light', 'dark']) {
  const page = await open(browser, scheme);
  for (const named of views) {
    const at = named.indexOf('=');
    await view(page, path.resolve(file), named.slice(at + 1));
    await page.waitForTimeout(300);
    await page.screenshot({path: path.join(folder, `${named.slice(0, at)}-${scheme}.png`)});
  }
  await page.context().close();
}
await browser.close();
