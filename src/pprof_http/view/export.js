// Ways out of the page: files for other tools, made here, so that a saved page has them too.

// Writes protobuf messages (github.com/google/pprof, proto/profile.proto).
class Bytes {
  constructor() { this.list = []; }

  // Up to 2^53, as a plain number is exact.
  varint(value) {
    let rest = Math.max(0, Math.round(value));
    for (; rest > 127; rest = Math.floor(rest / 128)) this.list.push((rest % 128) | 128);
    this.list.push(rest);
  }

  number(field, value) {
    if (value === 0) return this;
    this.list.push(field << 3);
    this.varint(value);
    return this;
  }

  message(field, bytes) {
    this.list.push((field << 3) | 2);
    this.varint(bytes.length);
    for (const byte of bytes) this.list.push(byte);
    return this;
  }

  packed(field, values) {
    const inner = new Bytes();
    for (const value of values) inner.varint(value);
    return this.message(field, inner.list);
  }
}

class Strings {
  constructor() { this.map = new Map([['', 0]]); }
  put(words) {
    if (!this.map.has(words)) this.map.set(words, this.map.size);
    return this.map.get(words);
  }
}

function pprofOf(model, samples) {
  const out = new Bytes(), strings = new Strings();
  const type = (kind, unit) => new Bytes().number(1, strings.put(kind)).number(2, strings.put(unit)).list;
  out.message(1, type('samples', 'count')).message(1, type('cpu', 'nanoseconds'));
  const locations = new Map(), functions = new Map();
  for (const i of samples) {
    const stack = model.sampleStack[i], ids = [];
    for (const location of model.doc.stacks[stack]) ids.push(put(locations, location));
    const sample = new Bytes().packed(1, ids).packed(2, [model.sampleCount[i], model.sampleCpu[i]]);
    const labels = [['span_id', model.id(model.sampleSpan[i])], ['span_name', model.strings[model.sampleName[i]]],
      ['trace_id', model.id(model.sampleTrace[i])], ...model.labelSets[model.sampleLabels[i]]];
    for (const [key, value] of labels) {
      if (value) sample.message(3, new Bytes().number(1, strings.put(key)).number(2, strings.put(value)).list);
    }
    out.message(2, sample.list);
  }
  for (const [location, id] of locations) {
    const message = new Bytes().number(1, id);
    for (const frame of model.doc.locations[location]) {
      message.message(4, new Bytes().number(1, put(functions, model.frameFunction[frame])).number(2, model.frameLine[frame]).list);
    }
    out.message(4, message.list);
  }
  for (const [fn, id] of functions) {
    const name = strings.put(model.functionName[fn]);
    out.message(5, new Bytes().number(1, id).number(2, name).number(3, name).number(4, strings.put(model.functionFile[fn])).list);
  }
  const cpu = type('cpu', 'nanoseconds');
  for (const words of strings.map.keys()) out.message(6, new TextEncoder().encode(words));
  if (/^\d{1,19}$/.test(model.doc.origin_ns)) {
    out.list.push(9 << 3);
    let rest = BigInt(model.doc.origin_ns) + BigInt(Math.round(model.profileStart));
    for (; rest > 127n; rest >>= 7n) out.list.push(Number(rest & 127n) | 128);
    out.list.push(Number(rest));
  }
  out.number(10, model.profileDuration).message(11, cpu).number(12, model.period);
  return Uint8Array.from(out.list);
}

function put(map, key) {
  if (!map.has(key)) map.set(key, map.size + 1);
  return map.get(key);
}

async function gzip(bytes) {
  return new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'))).arrayBuffer();
}

// Brendan Gregg's collapsed stacks: root first, the number of samples last.
function foldedOf(model, samples) {
  const sums = new Map();
  for (const i of samples) {
    const stack = model.sampleStack[i], frames = [];
    for (let at = model.stackStart[stack + 1] - 1; at >= model.stackStart[stack]; --at) {
      frames.push(model.functionName[model.frameFunction[model.stackFrames[at]]].replaceAll(';', ':'));
    }
    const line = frames.join(';') || '[no stack]';
    sums.set(line, (sums.get(line) || 0) + model.sampleCount[i]);
  }
  return [...sums].map(([line, sum]) => `${line} ${sum}\n`).sort().join('');
}

function reportOf(model, samples, title, facts, reasons) {
  const {cpu, count: hits} = model.sum(samples);
  const lines = [title, '', ...facts.map(([name, value]) => `${name}: ${value}`), `CPU: ${duration(cpu)} in ${plural(hits, 'sample')}`, ''];
  for (const reason of reasons) lines.push(`- ${reason}`);
  const pad = (words) => words.padStart(10);
  if (hits > 0) lines.push(`${pad('self')} ${pad('self %')} ${pad('total')} ${pad('total %')}  function  file`);
  for (const row of functionsOf(model, samples).slice(0, 60)) {
    lines.push(`${pad(duration(row.self))} ${pad(share(row.self, cpu))} ${pad(duration(row.total))} ${pad(share(row.total, cpu))}  ` +
      `${row.name}  ${model.functionFile[row.fn]}`);
  }
  return lines.join('\n') + '\n';
}

function download(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], {type}));
  const anchor = h('a', {href: url, download: name});
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  toast(`Saved ${name}`);
}

const fileName = (words) => words.replace(/[^\w.-]+/g, '_').slice(0, 80) || 'profile';

// Grafana's Explore with the flame graph of one span. Ids, times and the address of Grafana are all that gets into it.
function grafanaLink(model, span) {
  const links = model.doc.links || {};
  const id = span ? model.id(span.profiled === undefined ? span.id : span.profiled) : '';
  let url;
  try { url = new URL(text(links.grafana)); } catch (error) { return null; }
  if (!/^https?:$/.test(url.protocol) || !/^[0-9a-f]{16}$/.test(id)) return null;
  const uid = text(links.grafana_datasource) || 'pyroscope';
  const [start, length] = span.start === undefined ? [model.profileStart, model.profileDuration] : [span.start, span.duration];
  const at = (ns) => String(Math.round(model.originMs + ns / 1e6));
  const minute = 6e10;  // a profile that is pushed begins before the span and is looked up by its begin
  const query = {refId: 'A', datasource: {type: 'grafana-pyroscope-datasource', uid}, queryType: 'profile', groupBy: [],
    profileTypeId: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds', labelSelector: '{}', spanSelector: [id]};
  const pane = {datasource: uid, queries: [query], range: {from: at(start - minute), to: at(start + length + minute)}};
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/explore`;
  url.search = `?schemaVersion=1&panes=${encodeURIComponent(JSON.stringify({cpu: pane}))}`;
  url.username = url.password = url.hash = '';
  return url.href;
}

// The buttons; view: {title, samples, facts, reasons, span}
function waysOut(model, view) {
  const name = fileName(view.title);
  const button = (words, title, action) => h('button', {type: 'button', title, onclick: action}, words);
  const grafana = grafanaLink(model, view.span);
  return h('div', {class: 'ways', role: 'group', 'aria-label': 'Take these samples elsewhere'},
    button('pprof', 'A .pb.gz file for go tool pprof and speedscope', async () =>
      download(`${name}.pb.gz`, 'application/gzip', await gzip(pprofOf(model, view.samples)))),
    button('folded', 'Folded stacks, a line each', () => download(`${name}.folded.txt`, 'text/plain', foldedOf(model, view.samples))),
    button('text', 'A report in plain text', () =>
      download(`${name}.txt`, 'text/plain', reportOf(model, view.samples, view.title, view.facts, view.reasons))),
    button('copy link', 'The address of exactly this view', () => copy(location.href, 'the link')),
    grafana && h('a', {class: 'button', href: grafana, target: '_blank', rel: 'noopener noreferrer', title: 'This span\'s flame graph in Grafana\'s Explore'}, 'Grafana'));
}

// The page as one file with its data in it: the page's own bytes, so that its policy still fits.
async function savePage(model) {
  const page = await (await fetch(location.pathname)).text();
  const at = page.indexOf('<' + '/script>', page.indexOf('id="data"'));
  const data = JSON.stringify({...model.doc, live: false}).replaceAll('<', '\\u003c');
  download(`${fileName(model.service || 'spans')}.html`, 'text/html', page.slice(0, at) + data + page.slice(at));
}
