// The spans document as look-ups and typed arrays. Nothing of it is trusted: every index is checked here, once.
const NONE = -1;

class BadDocument extends Error {}

function rowsOf(doc, name) {
  const rows = doc[name] === undefined ? [] : doc[name];
  if (!Array.isArray(rows)) throw new BadDocument(`"${name}" is not a list`);
  return rows;
}

function checked(value, least, limit, what) {
  if (!Number.isInteger(value) || value < least || value >= limit) throw new BadDocument(`${what} out of range: ${value}`);
  return value;
}

const number = (value) => (Number.isFinite(value) ? value : 0);
const text = (value) => (typeof value === 'string' ? value : '');

// Stacks as one array of frames, leaf first: stack i is stackFrames[stackStart[i] .. stackStart[i + 1]).
function flattenStacks(doc, frameCount) {
  const locations = rowsOf(doc, 'locations');
  const stacks = rowsOf(doc, 'stacks');
  for (const location of locations) for (const frame of location) checked(frame, 0, frameCount, 'frame');
  const start = new Int32Array(stacks.length + 1);
  let size = 0;
  stacks.forEach((stack, i) => {
    for (const location of stack) size += locations[checked(location, 0, locations.length, 'location')].length;
    start[i + 1] = size;
  });
  const frames = new Int32Array(size);
  let at = 0;
  for (const stack of stacks) for (const location of stack) for (const frame of locations[location]) frames[at++] = frame;
  return {start, frames};
}

class Model {
  constructor(doc) {
    if (!doc || doc.version !== 1) throw new BadDocument('the document is not of version 1');
    this.doc = doc;
    this.strings = rowsOf(doc, 'strings').map(text);
    this.ids = rowsOf(doc, 'ids').map(text);
    this.idIndex = new Map(this.ids.map((id, i) => [id, i]));
    this.live = doc.live === true;
    this.service = text(doc.service);
    this.process = doc.process || {};
    this.period = number(doc.profile && doc.profile.period_ns) || 1e7;
    this.profileStart = number(doc.profile && doc.profile.start_ns);
    this.profileDuration = number(doc.profile && doc.profile.duration_ns);
    this.originMs = /^\d{1,19}$/.test(doc.origin_ns) ? Number(BigInt(doc.origin_ns) / 1000000n) : 0;
    this.notes = rowsOf(doc, 'notes').filter((note) => typeof note === 'string');
    this.stats = rowsOf(doc, 'stats').map(([name, value, words]) => ({name: text(name), value: number(value), words: text(words)}));
    this.readLabels();
    this.readFunctions();
    this.readSamples();
    this.readSpans();
    this.indexSamples();
    this.operations = makeOperations(this);
  }

  string(index) { return this.strings[checked(index, 0, this.strings.length, 'string')]; }
  id(index) { return index === NONE ? '' : this.ids[checked(index, 0, this.ids.length, 'id')]; }
  stat(name) { const found = this.stats.find((stat) => stat.name === name); return found ? found.value : 0; }

  readLabels() {
    this.labelSets = rowsOf(this.doc, 'label_sets').map((set) => set.map(([key, value]) => [this.string(key), this.string(value)]));
    if (this.labelSets.length === 0) this.labelSets.push([]);
  }

  readFunctions() {
    const functions = rowsOf(this.doc, 'functions');
    const frames = rowsOf(this.doc, 'frames');
    this.functionName = functions.map(([name]) => this.string(name));
    this.functionFile = functions.map(([, file]) => this.string(file));
    this.frameFunction = Int32Array.from(frames, ([fn]) => checked(fn, 0, functions.length, 'function'));
    this.frameLine = Int32Array.from(frames, ([, line]) => number(line));
    // pprof counts functions by name alone, wherever they stand.
    const byName = new Map();
    this.nameOfFunction = Int32Array.from(this.functionName, (name) => {
      if (!byName.has(name)) byName.set(name, byName.size);
      return byName.get(name);
    });
    this.names = [...byName.keys()];
    const {start, frames: flat} = flattenStacks(this.doc, frames.length);
    this.stackStart = start;
    this.stackFrames = flat;
  }

  readSamples() {
    const rows = rowsOf(this.doc, 'samples');
    const limits = [[0, this.stackStart.length - 1], [NONE, this.ids.length], [0, this.strings.length], [NONE, this.ids.length]];
    const columns = limits.map(([least, limit], c) => Int32Array.from(rows, (row) => checked(row[c], least, limit, 'sample')));
    [this.sampleStack, this.sampleSpan, this.sampleName, this.sampleTrace] = columns;
    this.sampleCount = Float64Array.from(rows, (row) => number(row[4]));
    this.sampleCpu = Float64Array.from(rows, (row) => number(row[5]));
    this.sampleLabels = Int32Array.from(rows, (row) => checked(row[6] || 0, 0, this.labelSets.length, 'labels'));
    this.sampleTotal = rows.length;
    this.allSamples = Int32Array.from(rows, (row, i) => i);
    this.all = this.sum(this.allSamples);
  }

  readSpans() {
    const ids = this.ids.length;
    this.spans = rowsOf(this.doc, 'spans').map((row) => ({
      id: checked(row[0], 0, ids, 'span id'), trace: checked(row[1], NONE, ids, 'trace id'), parent: checked(row[2], NONE, ids, 'parent'),
      name: this.string(row[3]), start: number(row[4]), duration: Math.max(0, number(row[5])), error: row[6] === 2, ok: row[6] === 1,
      sampled: row[7] === 1, root: row[8] === 1, attributes: this.labelSets[checked(row[9] || 0, 0, this.labelSets.length, 'attributes')],
      profiled: checked(row[10], NONE, ids, 'profiled span'), children: [], up: null, cpu: 0, count: 0, allCpu: 0, allCount: 0,
    }));
    this.spanById = new Map(this.spans.map((span) => [span.id, span]));
    for (const span of this.spans) {
      const parent = this.spanById.get(span.parent);
      if (!parent || parent.trace !== span.trace || isAbove(span, parent)) continue;
      span.up = parent;
      parent.children.push(span);
    }
    for (const span of this.spans) span.children.sort((a, b) => a.start - b.start);
  }

  // Samples by span and by operation: the recorded span's own name where it is known, the label span_name otherwise.
  indexSamples() {
    this.samplesOfSpan = new Map();
    this.samplesOfName = new Map();
    this.outside = [];
    const put = (map, key, i) => { const list = map.get(key); if (list) list.push(i); else map.set(key, [i]); };
    for (let i = 0; i < this.sampleTotal; ++i) {
      const span = this.spanById.get(this.sampleSpan[i]);
      if (this.sampleSpan[i] !== NONE) put(this.samplesOfSpan, this.sampleSpan[i], i);
      const name = span ? span.name : this.strings[this.sampleName[i]];
      if (name) put(this.samplesOfName, name, i); else if (this.sampleSpan[i] === NONE) this.outside.push(i);
      if (!span) continue;
      span.cpu += this.sampleCpu[i];
      span.count += this.sampleCount[i];
    }
    for (const span of this.spans) {
      for (let up = span; up; up = up.up) { up.allCpu += span.cpu; up.allCount += span.count; }
    }
  }

  sum(samples) {
    let cpu = 0, count = 0;
    for (const i of samples) { cpu += this.sampleCpu[i]; count += this.sampleCount[i]; }
    return {cpu, count};
  }

  // Of the span with that id; of the spans below it as well.
  samplesOf(id, withChildren) {
    const span = this.spanById.get(id);
    const found = [...(this.samplesOfSpan.get(id) || [])];
    if (!span || !withChildren) return found;
    const open = [...span.children];
    while (open.length > 0) {
      const child = open.pop();
      for (const i of this.samplesOfSpan.get(child.id) || []) found.push(i);
      open.push(...child.children);
    }
    return found;
  }

  timeOf(ns) { return new Date(this.originMs + ns / 1e6); }
}

// A document may say that spans are each other's parents.
function isAbove(span, candidate) {
  for (let up = candidate; up; up = up.up) if (up === span) return true;
  return false;
}

function quantile(sorted, q) {
  return sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)];
}

function makeOperations(model) {
  const rows = new Map();
  const rowOf = (name) => {
    if (!rows.has(name)) rows.set(name, {name, spans: 0, errors: 0, wall: false, p50: 0, p95: 0, max: 0, cpu: 0, samples: 0, durations: [], elsewhere: 0});
    return rows.get(name);
  };
  for (const span of model.spans) {
    const row = rowOf(span.name);
    row.spans += 1;
    row.errors += span.error ? 1 : 0;
    row.durations.push(span.duration);
    row.elsewhere += span.profiled !== NONE && span.profiled !== span.id ? 1 : 0;
  }
  for (const [name, samples] of model.samplesOfName) {
    const row = rowOf(name);
    ({cpu: row.cpu, count: row.samples} = model.sum(samples));
    if (row.spans === 0) row.spans = new Set(samples.map((i) => model.sampleSpan[i]).filter((id) => id !== NONE)).size;
  }
  for (const row of rows.values()) {
    const sorted = row.durations.sort((a, b) => a - b);
    Object.assign(row, {wall: sorted.length > 0, p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95), max: quantile(sorted, 1)});
  }
  // The recorder's own sums are of all spans that it saw, not of the kept ones alone.
  for (const [name, spans, errors, p50, p95, max, cpu, samples] of rowsOf(model.doc, 'operations')) {
    const row = rowOf(model.string(name));
    Object.assign(row, {spans: number(spans), errors: number(errors), wall: true, p50: number(p50), p95: number(p95), max: number(max)});
    row.cpu = number(cpu) || row.cpu;
    row.samples = number(samples) || row.samples;
  }
  for (const row of rows.values()) {
    row.each = row.spans > 0 ? row.cpu / row.spans : 0;
    // Nothing is known of their own CPU time, which is not the same as none.
    row.inRoot = row.samples === 0 && row.elsewhere > 0 && row.elsewhere === row.durations.length;
  }
  return [...rows.values()];
}
