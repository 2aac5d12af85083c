// What the tests of the viewer page share: programs around it, a browser that tells on the page, and checks that count.
import {execFileSync} from 'node:child_process';
import {createRequire} from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const require = createRequire(path.join(process.env.OTELPROF_NODE_MODULES, 'x.cjs'));
const {chromium} = require('playwright-core');
const axeSource = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

export function run(program, ...args) {
  return execFileSync(program, args, {encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe']});
}

export const kBrowser = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) => fs.existsSync(file));

export async function launch() {
  if (!kBrowser) throw new Error('no Chromium here (Debian: chromium)');
  // The sandbox wants rights that root in a container lacks; only our own page is opened.
  return chromium.launch({executablePath: kBrowser, args: ['--no-sandbox', '--disable-dev-shm-usage']});
}

// A tab whose complaints and requests are kept in `told`.
export async function open(browser, scheme = 'light', told = []) {
  const context = await browser.newContext({viewport: {width: 1360, height: 860}, colorScheme: scheme, acceptDownloads: true,
    permissions: ['clipboard-read', 'clipboard-write']});
  const page = await context.newPage();
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) told.push(`console: ${message.text()}`); });
  page.on('pageerror', (error) => told.push(`error: ${error.message}`));
  page.on('request', (request) => { if (!/^(file|data|blob):/.test(request.url())) told.push(`request: ${request.url()}`); });
  page.setDefaultTimeout(60000);
  return page;
}

// Opens a view of a saved page, as a link to it would.
export async function view(page, file, hash) {
  await page.goto('about:blank');
  await page.goto(`file://${file}${hash}`);
  await page.waitForFunction(() => document.documentElement.dataset.ready !== undefined);
  await page.waitForTimeout(50);
}

// Violations of accessibility rules, in words.
export async function axe(page) {
  await page.evaluate(axeSource);  // through the debugger: the page's policy lets no other script in
  const result = await page.evaluate(() => globalThis.axe.run(document, {resultTypes: ['violations']}));
  return result.violations.map((violation) => `${violation.id}: ${violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`);
}

export class Checks {
  passed = 0;
  failed = 0;

  constructor(only = '') { this.only = only; }

  async run(name, body) {
    if (!name.includes(this.only)) return;
    const failures = this.failed;
    this.name = name;
    try {
      await body();
    } catch (error) {
      this.fail(error.stack);
    }
    if (this.failed === failures) ++this.passed;
    console.log(`${this.failed === failures ? 'ok  ' : 'FAIL'} ${name}`);
  }

  fail(words) {
    if (this.last !== this.name) ++this.failed;  // one failure a check, with all that it says
    this.last = this.name;
    console.log(`     ${this.name}: ${words}`);
  }

  that(condition, words) { if (!condition) this.fail(words); }

  equal(found, wanted, words) {
    if (JSON.stringify(found) !== JSON.stringify(wanted)) this.fail(`${words}: found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);
  }

  close() {
    console.log(`${this.passed} passed, ${this.failed} failed`);
    process.exitCode = this.failed === 0 && this.passed > 0 ? 0 : 1;
  }
}

// Makes the pages that the tests open, in `folder`.
export function makePages({demo, program, maker, folder, seconds}) {
  fs.mkdirSync(folder, {recursive: true});
  const at = (name) => path.join(folder, name);
  if (demo) run(demo, '--seconds', String(seconds), '--scope', 'all', '--out', at('profile.pb.gz'), '--summary', at('summary.json'));
  run(program, at('profile.pb.gz'), '-o', at('bare.html'));
  const {data} = split(at('bare.html'));
  fs.writeFileSync(at('profile.json'), data);
  run('python3', '-B', maker, at('profile.json'), 'recorded', at('spans.json'));
  run(program, at('profile.pb.gz'), '-o', at('full.html'), '--spans', at('spans.json'));
  return {profile: at('profile.pb.gz'), bare: at('bare.html'), full: at('full.html'), document: JSON.parse(data), at};
}

const MARK = '<script type="application/json" id="data">';

export function split(file) {
  const text = fs.readFileSync(file, 'utf8');
  const from = text.indexOf(MARK) + MARK.length;
  const to = text.indexOf('</script>', from);
  return {head: text.slice(0, from), data: text.slice(from, to), tail: text.slice(to)};
}

// A page like `like`, of another document.
export function withDocument(like, json, file) {
  const {head, tail} = split(like);
  fs.writeFileSync(file, head + json.replaceAll('<', '\\u003c') + tail);
  return file;
}

// go tool pprof -top: name to {self, total} in nanoseconds; names as they stand in the file.
export function top(profile, ...filters) {
  const text = run('go', 'tool', 'pprof', '-top', '-symbolize=none', '-nodecount=0', '-nodefraction=0', '-edgefraction=0', '-unit=nanoseconds', ...filters, profile);
  const rows = {};
  for (const line of text.split('\n')) {
    const found = /^\s*(\d+)(?:ns)?\s+\S+%\s+\S+%\s+(\d+)(?:ns)?\s+\S+%\s+(.*?)(?: \((?:partial-)?inline\))?$/.exec(line);
    if (found) rows[found[3]] = {self: Number(found[1]), total: Number(found[2])};
  }
  return rows;
}
