// Drives the page that a traced program serves at /debug/spans in Chromium, against the library's own routes.
//
//   OTELPROF_NODE_MODULES=FOLDER node live_test.mjs LIVE_PROGRAM WORK_FOLDER [CHECK]
//
// Pictures of every view are left in WORK_FOLDER.
import {spawn} from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import readline from 'node:readline';
import {axe, Checks, launch, open, run, top, view} from './browser.mjs';

const [program, folder, only] = process.argv.slice(2);
const at = (name) => path.join(path.resolve(folder), name);
fs.mkdirSync(folder, {recursive: true});
const GRAFANA = 'http://grafana.example:3000/sub';

const server = spawn(program, [], {stdio: ['pipe', 'pipe', 'inherit'],
  env: {...process.env, OTEL_SERVICE_NAME: 'live <b>shop</b>', OTEL_PROFILING_GRAFANA_URL: GRAFANA, OTEL_PROFILING_GRAFANA_DATASOURCE: 'pyro-1'}});
const ready = await new Promise((done, failed) => {
  readline.createInterface({input: server.stdout}).once('line', (line) => done(JSON.parse(line)));
  server.once('exit', (code) => failed(new Error(`the program ended: ${code}`)));
});
const hostile = Object.keys(ready.spans).find((name) => name.startsWith('<img'));
const root = `http://${ready.address}/debug/spans`;
const span = (name) => `#/span/${ready.spans[name].span}`;

// An answer, by a client that sends what it is told to.
function ask(address, target, {method = 'GET', ...headers} = {}) {
  const [host, port] = address.split(':');
  return new Promise((done, failed) => {
    http.request({host: host === '0.0.0.0' ? '127.0.0.1' : host, port, path: target, method, headers}, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('end', () => done({status: response.statusCode, headers: response.headers, body: Buffer.concat(pieces)}));
    }).on('error', failed).end();
  });
}

const checks = new Checks(only);
const browser = await launch();
const told = [];
const page = await open(browser, 'light', told);
const main = () => page.locator('main').innerText();

async function look(where, tab = page) {
  await tab.goto('about:blank');
  await tab.goto(root + where);
  await tab.waitForFunction(() => document.documentElement.dataset.ready !== undefined);
}

// The numbers of a table, in full.
async function table(tab, label, keys) {
  const region = tab.locator(`[role=region][aria-label="${label}"]`);
  for (const more = region.locator('.more'); await more.isVisible();) await more.click();
  return region.evaluate((box, wanted) => Object.fromEntries([...box.querySelectorAll('tbody tr')].map((row) => {
    const named = row.querySelector('td.name a, td.function button, td.name code');
    return [named.title || named.textContent, wanted.map((key) => row.querySelector(`td[data-key=${key}]`).dataset.value)];
  })), keys);
}

await checks.run('headers: a strict policy, nothing kept, no other reader', async () => {
  const {status, headers} = await ask(ready.address, '/debug/spans');
  const policy = headers['content-security-policy'];
  checks.equal(status, 200, 'status');
  for (const words of ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"]) {
    checks.that(policy.includes(words), `"${words}" is not in ${policy}`);
  }
  checks.that(!/unsafe|https?:|\*/.test(policy), policy);
  checks.equal([headers['x-content-type-options'], headers['cache-control'], headers['access-control-allow-origin']], ['nosniff', 'no-store', undefined], 'headers');
});

await checks.run('only GET, only from this machine', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'HEAD']) {
    for (const target of ['/debug/spans', '/debug/spans/data']) checks.equal((await ask(ready.address, target, {method})).status, 405, `${method} ${target}`);
  }
  for (const target of ['/debug/spans', '/debug/spans/data', `/debug/spans/${ready.spans.quick.span}`]) {
    checks.equal((await ask(ready.address, target, {Host: 'evil.example'})).status, 403, `${target} for another name`);
    checks.equal((await ask(ready.open, target)).status, 403, `${target} of a server that others reach`);
  }
});

await checks.run('operations: every span once, with its CPU', async () => {
  await look('');
  const found = await table(page, 'Operations', ['spans', 'errors', 'samples']);
  checks.equal(Object.keys(found).sort(), [...Object.keys(ready.spans), 'on a thread without timer'].sort(), 'names');
  for (const [name, [spans, errors]] of Object.entries(found)) checks.equal([spans, errors], ['1', name === 'failed' ? '1' : '0'], name);
  for (const [name, least] of [['GET /busy', 25], [hostile, 9]]) checks.that(Number(found[name][2]) >= least, `${name}: ${found[name][2]} samples`);
  checks.equal(found.waits[2], '0', 'samples of a span that waits');
  checks.that(await page.locator('[role=region]').evaluate((box) => box.scrollWidth <= box.clientWidth), 'the table is wider than the page');
  checks.that((await page.locator('#service').innerText()) === 'live <b>shop</b>', 'the service\'s name');
  await page.screenshot({path: at('operations.png')});
});

await checks.run('traces, a waterfall, its span, by clicks', async () => {
  await look('#/traces');
  checks.equal(await page.locator('tr.opens').count(), Object.keys(ready.spans).length, 'traces');
  await page.screenshot({path: at('traces.png')});
  await page.getByRole('button', {name: /^Failed/}).click();
  await page.waitForFunction(() => document.querySelectorAll('tr.opens').length === 1);
  await look('#/traces');
  await page.locator('tr.opens', {hasText: 'GET /busy'}).click();
  await page.waitForSelector('.fall-row');
  checks.equal(await page.locator('.fall-row').count(), 2, 'spans of the trace');
  await page.screenshot({path: at('trace.png')});
  await page.locator('.fall-row').first().click();
  await page.waitForSelector('canvas');
  checks.that((await page.evaluate(() => location.hash)) === span('GET /busy'), 'not the root');
});

await checks.run('a span\'s flame graph, search, zoom; its file in three formats', async () => {
  await look(span('GET /busy'));
  const found = await table(page, 'Functions', ['self', 'total']);
  const [name] = Object.keys(found).filter((one) => one.includes('ComputePrices'));
  checks.that(Number(found[name][1]) >= 2e8, `${name}: ${found[name]}`);
  await page.screenshot({path: at('span.png'), fullPage: true});
  await page.keyboard.press('/');
  await page.keyboard.type('ComputePrices');
  checks.that(parseFloat(await page.locator('.matched').innerText()) > 80, await page.locator('.matched').innerText());
  await page.locator('canvas').click({position: {x: 30, y: 70}});
  await page.waitForFunction(() => location.hash.includes('z='));
  const {body, headers} = await ask(ready.address, `/debug/spans/${ready.spans['GET /busy'].span}?format=pb`);
  checks.that(/^attachment; filename="span-[0-9a-f]{16}\.pb\.gz"$/.test(headers['content-disposition']), headers['content-disposition']);
  fs.writeFileSync(at('served.pb.gz'), body);
  const wanted = top(at('served.pb.gz'));
  const own = Object.keys(wanted).find((one) => one.includes('ComputePrices'));
  checks.equal([wanted[own].self, wanted[own].total], found[name].map(Number), 'ComputePrices by go tool pprof');
  const text = (await ask(ready.address, `/debug/spans/${ready.spans['GET /busy'].span}`)).body.toString();
  checks.that(text.includes('GET /busy') && text.includes('ComputePrices'), text);
  const folded = (await ask(ready.address, `/debug/spans/${ready.spans['GET /busy'].span}?format=folded`)).body.toString().trim().split('\n');
  const all = Number(await page.locator('dl.facts dd').last().innerText());
  checks.equal(folded.reduce((sum, line) => sum + Number(/ (\d+)$/.exec(line)[1]), 0), all, 'samples of the folded stacks');
  for (const [button, part] of [['pprof', '.pb.gz'], ['folded', '.folded.txt'], ['text', '.txt']]) {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', {name: button, exact: true}).click()]);
    checks.that(file.suggestedFilename().endsWith(part), file.suggestedFilename());
    await file.saveAs(at(`saved${part}`));
  }
  const saved = top(at('saved.pb.gz'));
  checks.equal(saved[Object.keys(saved).find((one) => one.includes('ComputePrices'))], wanted[own], 'ComputePrices in the file that the page makes');
});

await checks.run('a link to the span in the Grafana that the environment names', async () => {
  await look(span('GET /busy'));
  const link = new URL(await page.locator('.ways a').getAttribute('href'));
  checks.equal(link.origin + link.pathname, `${GRAFANA}/explore`, 'address');
  const {cpu} = JSON.parse(link.searchParams.get('panes'));
  checks.equal([cpu.datasource, cpu.queries[0].spanSelector], ['pyro-1', [ready.spans['GET /busy'].span]], 'query');
  checks.that(Number(cpu.range.from) < Date.now() - 50000 && Number(cpu.range.to) > Number(cpu.range.from) + 120000, JSON.stringify(cpu.range));
});

await checks.run('why a span is empty, in words', async () => {
  const words = [['quick', 'a sample is taken every 10 ms of CPU time'], ['waits', 'it waited'], ['unsampled', 'trace was not sampled'],
    ['compute', 'carry the id of its local root "GET /busy"'], ['unattached', 'its context was never attached'], ['unattached', 'WorkWithoutContext'],
    ['without timer', 'refused 1 timer']];
  for (const [name, wanted] of words) {
    await look(span(name));
    const why = await page.locator('.empty').first().innerText();
    checks.that(why.includes(wanted), `${name}: "${wanted}" is not in ${why}`);
    await page.screenshot({path: at(`empty-${name.replace(/\W/g, '-')}.png`)});
  }
  await look('#/span/ffffffffffffffff');
  checks.that((await main()).includes('not in this page'), await main());
  // Lost samples cannot be had at will: the answer of the real route, with three lost.
  const tab = await open(browser, 'light', []);
  await tab.route('**/debug/spans/data', async (route) => {
    const answer = await route.fetch();
    const document = await answer.json();
    document.stats.find(([name]) => name === 'samples_lost')[1] = 3;
    await route.fulfill({response: answer, json: document});
  });
  await look(span('waits'), tab);
  checks.that((await tab.locator('.empty').innerText()).includes('3 samples were lost'), await tab.locator('.empty').innerText());
  await tab.context().close();
});

await checks.run('status: every counter of ReadStats, the late start in words', async () => {
  await look('#/status');
  const counters = Object.keys(JSON.parse((await ask(ready.address, '/debug/pprof/stats')).body));
  checks.equal(await page.locator('td code').allInnerTexts().then((names) => names.sort()), counters.sort(), 'counters');
  const meanings = await page.locator('td[data-key=words]').allInnerTexts();
  checks.that(meanings.length === counters.length && meanings.every((words) => words.length > 10), 'a counter without words');
  checks.equal(await page.locator('tr', {hasText: 'timers_refused'}).locator('.badge.warn').count(), 1, 'refused timers are marked');
  checks.that((await main()).includes('Spans forgotten to make room'), 'what the recorder did not keep');
  checks.that(/watching began \d+ s after the process/.test(await main()), await main());
  await page.screenshot({path: at('status.png'), fullPage: true});
});

await checks.run('a hostile name and attribute are text', async () => {
  for (const where of ['', '#/traces', span(hostile), `#/trace/${ready.spans[hostile].trace}`, `#/op/${encodeURIComponent(hostile)}`]) {
    await look(where);
    checks.that((await page.locator('body').innerText()).includes('<img src=x onerror='), `${where}: the name is not shown`);
    checks.equal(await page.locator('img, main script, main i:not([class])').count(), 0, `${where}: elements of the name`);
    checks.that(!(await page.title()).startsWith('owned'), `${where}: it ran`);
  }
  await look(span(hostile));
  checks.that((await main()).includes('</script><i>value'), 'the attribute is not shown');
});

await checks.run('reload shows what is new; the saved page shows the same from disk', async () => {
  await look('#/operations');
  await page.getByRole('button', {name: 'Reload'}).click();
  await page.waitForFunction(() => document.getElementById('said').textContent === 'Reloaded');
  const keys = ['spans', 'errors', 'p50', 'cpu', 'samples'];
  const live = await table(page, 'Operations', keys);
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', {name: 'Save page'}).click()]);
  await file.saveAs(at('saved.html'));
  await look(span('GET /busy'));
  const functions = await table(page, 'Functions', ['self', 'total']);
  const disk = [];
  const tab = await open(browser, 'light', disk);
  await view(tab, at('saved.html'), '#/operations');
  checks.equal(await table(tab, 'Operations', keys), live, 'operations');
  checks.that(await tab.locator('#live').isHidden(), 'the saved page looks live');
  await view(tab, at('saved.html'), span('GET /busy'));
  checks.equal(await table(tab, 'Functions', ['self', 'total']), functions, 'functions');
  await view(tab, at('saved.html'), span('unattached'));
  checks.that((await tab.locator('.empty').first().innerText()).includes('its context was never attached'), 'no words in the saved page');
  checks.that((await tab.locator('.ways a').count()) === 0, 'a link for a span that has nothing');
  checks.equal(disk, [], 'told from disk');
  await tab.context().close();
});

await checks.run('accessible in light and dark: axe finds nothing', async () => {
  for (const scheme of ['light', 'dark']) {
    const tab = await open(browser, scheme, told);
    for (const where of ['', `#/trace/${ready.spans['GET /busy'].trace}`, span('GET /busy'), span('unattached')]) {
      await look(where, tab);
      for (const violation of await axe(tab)) checks.fail(`${scheme} ${where} ${violation}`);
    }
    await look(span('GET /busy'), tab);
    await tab.screenshot({path: at(`span-${scheme}.png`)});
    await tab.context().close();
  }
});

await checks.run('no complaint in the console, no request but to its own two addresses', async () => {
  checks.equal([...new Set(told)].filter((line) => ![`request: ${root}`, `request: ${root}/data`].includes(line)), [], 'told');
});

await browser.close();
server.removeAllListeners('exit');
const ended = new Promise((done) => { server.once('exit', (code, signal) => done(code ?? signal)); });
server.stdin.end();
await checks.run('the program ends well', async () => checks.equal(await ended, 0, 'exit code'));
checks.close();
