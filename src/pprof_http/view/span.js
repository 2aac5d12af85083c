// The pages Span, Operation and Process: flame graph, search, functions and ways out of one set of samples.

function legend(model, packages, samples) {
  const self = new Map();
  const {cpu} = model.sum(samples);
  for (const i of samples) {
    const at = model.stackStart[model.sampleStack[i]];
    if (at === model.stackStart[model.sampleStack[i] + 1]) continue;
    const place = packages.ofFunction[model.frameFunction[model.stackFrames[at]]];
    self.set(place, (self.get(place) || 0) + model.sampleCpu[i]);
  }
  const rows = [...self].sort((a, b) => b[1] - a[1]).slice(0, 7);
  const kind = (place) => (place.special ? 'special' : `${place.own ? 'own' : 'library'}-${place.rank % (place.own ? 8 : 4)}`);
  return h('ul', {class: 'packages', 'aria-label': 'CPU time by package'}, rows.map(([place, ns]) =>
    h('li', {class: place.own ? 'own' : ''}, h('span', {class: `key ${kind(place)}`}), place.name, h('span', {class: 'faint'}, share(ns, cpu)))));
}

// view: {title, samples, reasons, facts, span, typical: {samples, spans, name}}
class ProfileView {
  constructor(app, view) {
    Object.assign(this, {app, view, model: app.model});
    this.graphs = [];
    this.sum = this.model.sum(view.samples);
    this.matched = h('output', {class: 'matched', 'aria-live': 'polite'});
    this.details = h('div', {class: 'details', hidden: true});
    this.functions = h('div', {});
  }

  elements() {
    const {view} = this;
    if (view.samples.length === 0) return [empty(view.emptyTitle || 'Why is my span empty?', view.reasons), view.typical && this.typicalAlone()];
    const main = this.graph(view.samples, view.title, 1);
    const typical = view.typical && this.app.query.typical === '1';
    const other = typical && this.graph(view.typical.samples, `Typical ${view.typical.name}`, 1 / Math.max(1, view.typical.spans));
    const parts = [this.toolbar(),
      h('div', {class: typical ? 'graphs two' : 'graphs'},
        h('figure', {}, typical && h('figcaption', {}, 'This span, ', h('b', {}, duration(this.sum.cpu))), main.element, this.trail),
        other && h('figure', {}, h('figcaption', {}, `Typical: mean of ${plural(view.typical.spans, 'span')}, `, h('b', {}, duration(this.typicalSum()))), other.element)),
      legend(this.model, this.app.packages, view.samples), this.details, h('h2', {}, 'Functions'), this.functions];
    this.main = main;
    this.search(this.app.query.q || '');
    const zoomed = this.app.query.z ? main.tree.find(this.app.query.z) : 0;
    if (zoomed > 0) { main.selected = zoomed; this.select(zoomed); main.zoom(zoomed); }
    return parts;
  }

  // The span has nothing, but the others of its name do.
  typicalAlone() {
    const {typical} = this.view;
    if (typical.samples.length === 0) return null;
    return h('section', {}, h('h2', {}, `All ${plural(typical.spans, 'span')} named ${typical.name}`),
      this.graph(typical.samples, `All spans named ${typical.name}`, 1).element,
      h('p', {class: 'note'}, h('a', {href: link(['op', typical.name])}, 'Open the operation')));
  }

  typicalSum() { return this.model.sum(this.view.typical.samples).cpu / Math.max(1, this.view.typical.spans); }

  graph(samples, label, scale) {
    const graph = new FlameGraph({tree: new CallTree(this.model, samples, scale, this.app.query.frames === 'own' ? this.app.packages.own : null), packages: this.app.packages,
      label: `Flame graph of ${label}: ${plural(this.model.sum(samples).count, 'sample')}. The table of functions below says the same.`,
      on: {select: (node) => graph === this.main && this.select(node), zoom: (node) => graph === this.main && this.zoom(node)}});
    this.graphs.push(graph);
    return graph;
  }

  toolbar() {
    const {app, view} = this;
    this.input = h('input', {type: 'search', id: 'search', placeholder: 'Search functions and files ( / )', spellcheck: 'false', maxlength: '300',
      'aria-label': 'Search functions and files by regular expression', oninput: () => { this.search(this.input.value); app.set({q: this.input.value}); }});
    this.input.value = app.query.q || '';
    this.trail = h('button', {type: 'button', class: 'out', hidden: true, onclick: () => this.main.zoom(0)}, 'Zoom out (Esc)');
    return h('div', {class: 'toolbar'}, this.input, this.matched, h('span', {class: 'grow'}), view.controls,
      choice('Frames', [['', 'All frames'], ['own', 'Own code']], app.query.frames || '', (frames) => app.go({frames, z: ''})));
  }

  search(expression) {
    const matches = expression === '' ? null : matchFunctions(this.model, expression);
    const broken = expression !== '' && matches === null;
    this.input.setAttribute('aria-invalid', String(broken));
    this.matched.textContent = broken ? 'not a regular expression' : matches === null ? ''
      : `${share(matchedCpu(this.model, this.view.samples, matches), this.sum.cpu)} matched`;
    for (const graph of this.graphs) graph.setMatches(matches);
    this.fillFunctions(matches);
  }

  fillFunctions(matches) {
    const {model, sum, app} = this;
    const rows = functionsOf(model, this.view.samples).filter((row) => matches === null || matches[row.fn]);
    const columns = [
      {key: 'self', label: 'Self', number: true, title: 'In the function\'s own code', value: (row) => row.self, cell: (row) => [bar(row.self, sum.cpu), h('span', {}, duration(row.self))]},
      {key: 'selfShare', label: '%', number: true, value: (row) => row.self, cell: (row) => share(row.self, sum.cpu)},
      {key: 'total', label: 'Total', number: true, title: 'With all that it calls', value: (row) => row.total, cell: (row) => duration(row.total)},
      {key: 'totalShare', label: '%', number: true, value: (row) => row.total, cell: (row) => share(row.total, sum.cpu)},
      ...this.typicalColumns(),
      {key: 'name', label: 'Function', class: 'function', value: (row) => row.name, cell: (row) =>
        [h('button', {type: 'button', class: `plain${app.packages.ofFunction[row.fn].own ? ' own' : ''}`, title: row.name, onclick: () => this.find(row)}, shortName(row.name)),
          h('span', {class: 'file', title: model.functionFile[row.fn]}, model.functionFile[row.fn].split('/').slice(-2).join('/'))]},
    ];
    this.functions.replaceChildren(rows.length === 0 ? empty('Nothing matches', ['No function or file in these samples fits the expression.'])
      : table({label: 'Functions', columns, rows, sort: app.query.by || 'self', descending: app.query.byUp !== '1', step: 50,
        onsort: (by, down) => app.set({by, byUp: down ? '' : '1'})}));
  }

  typicalColumns() {
    const {typical} = this.view;
    if (!typical || this.app.query.typical !== '1') return [];
    const usual = new Map(functionsOf(this.model, typical.samples).map((row) => [row.name, row.total / Math.max(1, typical.spans)]));
    const of = (row) => usual.get(row.name) || 0;
    return [{key: 'typical', label: 'Typical', number: true, title: 'Total in the mean span of this name', value: of, cell: (row) => duration(of(row))},
      {key: 'more', label: 'More', number: true, title: 'This span\'s total less the typical one', value: (row) => row.total - of(row),
        cell: (row) => (row.total >= of(row) ? '+' : '') + duration(row.total - of(row))}];
  }

  // A click on a function searches for it, literally.
  find(row) {
    this.input.value = `^${row.name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`;
    this.search(this.input.value);
    this.app.set({q: this.input.value});
    this.input.focus();
  }

  zoom(node) {
    this.trail.hidden = node === 0;
    this.app.set({z: node === 0 ? '' : this.main.tree.key(node)});
  }

  // Of the selected frame: names in full, lines, its stack.
  select(node) {
    const {tree} = this.main;
    this.details.hidden = node === 0;
    if (node === 0) return;
    const lines = this.lines(node);
    this.details.replaceChildren(
      h('h2', {}, tree.name(node)),
      h('p', {}, h('code', {}, tree.place(node) || 'file not known'), ' ',
        h('button', {type: 'button', title: 'c', onclick: () => copy(this.main.stackText(node), 'the stack')}, 'Copy stack')),
      h('p', {}, `total ${duration(tree.total[node])} (${share(tree.total[node], this.sum.cpu)}), self ${duration(tree.self[node])} (${share(tree.self[node], this.sum.cpu)})`),
      lines.length > 1 && h('p', {class: 'lines'}, 'By line: ', lines.slice(0, 8).map(([line, ns]) => h('span', {}, `${line || '?'}: ${share(ns, tree.total[node])}`))));
  }

  lines(node) {
    const {tree} = this.main, {model} = this;
    const path = tree.path(node).map((step) => tree.fn[step]);
    const sums = new Map();
    for (const i of this.view.samples) {
      const from = model.stackStart[model.sampleStack[i]], last = model.stackStart[model.sampleStack[i] + 1] - 1;
      if (last - from + 1 < path.length || path.some((fn, depth) => model.frameFunction[model.stackFrames[last - depth]] !== fn)) continue;
      const line = model.frameLine[model.stackFrames[last - path.length + 1]];
      sums.set(line, (sums.get(line) || 0) + model.sampleCpu[i]);
    }
    return [...sums].sort((a, b) => b[1] - a[1]);
  }

  dispose() { for (const graph of this.graphs) graph.dispose(); }
}

function spanFacts(model, span) {
  return [['Started', clock(model.timeOf(span.start))], ['Wall time', duration(span.duration)], ['Status', span.error ? 'failed' : span.ok ? 'ok' : 'unset'],
    ['Sampled trace', span.sampled ? 'yes' : 'no']];
}

function attributes(span) {
  return span.attributes.length > 0 && h('ul', {class: 'attributes', 'aria-label': 'Attributes'}, span.attributes.map(([key, value]) =>
    h('li', {}, h('span', {class: 'faint'}, key), ' ', value)));
}

function heading(model, view, ...words) {
  return h('div', {class: 'heading'}, h('h1', {}, words), view.samples.length > 0 && waysOut(model, view));
}

// Of the wall time, the part that its threads ran.
function busyBar(span, sum) {
  const words = `${duration(sum.cpu)} on CPU, ${share(sum.cpu, span.duration)} of ${duration(span.duration)} wall time`;
  return h('div', {class: 'on-cpu', role: 'img', 'aria-label': words, title: words}, bar(sum.cpu, span.duration), h('span', {class: 'faint'}, words));
}

// The samples of all spans of its name, and how many spans they are of.
function typicalOf(model, span, id, withChildren) {
  const label = (model.samplesOfSpan.get(id) || []).map((i) => model.strings[model.sampleName[i]]).find((name) => name);
  const name = span ? span.name : label;
  const operation = name && model.operations.find((row) => row.name === name);
  if (!operation) return null;
  const spans = withChildren ? model.spans.filter((other) => other.name === name) : [];
  if (spans.length === 0) return {name, spans: operation.spans, samples: model.samplesOfName.get(name) || []};
  return {name, spans: spans.length, samples: [...new Set(spans.flatMap((other) => model.samplesOf(other.id, true)))]};
}

function spanPage(app) {
  const {model, path, query} = app;
  const id = model.idIndex.get(path[1]);
  const span = id === undefined ? undefined : model.spanById.get(id);
  const all = id === undefined ? [] : model.samplesOf(id, true);
  if (!span && all.length === 0) {
    return [h('h1', {}, 'Span'), empty(`Span ${path[1]} is not in this page`, ['It was not kept and no sample carries its id, or the link is to another page.',
      ...profileReasons(model), ...outsideReason(model), ...lossReasons(model)])];
  }
  const itself = query.self === '1';
  const samples = itself ? model.samplesOf(id, false) : all;
  const sum = model.sum(samples);
  const typical = typicalOf(model, span, id, !itself);
  const trace = span ? span.trace : (model.samplesOfSpan.get(id) || []).map((i) => model.sampleTrace[i]).find((candidate) => candidate !== NONE);
  const reasons = span && samples.length === 0 ? spanReasons(model, span) : [];
  if (itself && samples.length === 0 && all.length > 0) reasons.unshift(`All ${plural(model.sum(all).count, 'sample')} are of spans below it.`);
  const controls = [
    span && span.children.length > 0 && choice('Which samples', [['', 'With children'], ['1', 'Only itself']], query.self || '', (self) => app.go({self, z: ''})),
    typical && typical.spans > 1 && choice('Compare', [['', 'Alone'], ['1', 'Beside typical']], query.typical || '', (value) => app.go({typical: value, z: ''}))];
  const title = span ? span.name : (typical && typical.name) || 'Span';
  const facts = [['Span', path[1]], ...(span ? [...spanFacts(model, span), ...span.attributes] : [])];
  const view = new ProfileView(app, {title, samples, span: span || {id, trace: trace === undefined ? NONE : trace}, typical, reasons, facts, controls});
  app.view = view;
  return [heading(model, view.view, title, span && span.error && h('span', {class: 'badge error'}, 'failed')),
    h('dl', {class: 'facts'}, fact('Span', h('code', {}, path[1])),
      trace !== undefined && trace !== NONE && fact('Trace', h(model.spans.length > 0 ? 'a' : 'span', {href: model.spans.length > 0 ? link(['trace', model.id(trace)]) : undefined}, h('code', {}, model.id(trace)))),
      span && span.up && fact('Parent', h('a', {href: link(['span', model.id(span.up.id)])}, span.up.name)),
      span && span.profiled !== NONE && span.profiled !== id && model.spanById.has(span.profiled) &&
        fact('Samples in', h('a', {href: link(['span', model.id(span.profiled)])}, model.spanById.get(span.profiled).name)),
      typical && fact('Operation', h('a', {href: link(['op', typical.name])}, typical.name)),
      (span ? spanFacts(model, span) : []).map(([name, value]) => fact(name, value)), fact('On CPU', duration(sum.cpu)), fact('Samples', count(sum.count))),
    span && attributes(span), span && busyBar(span, sum), samples.length === 0 && h('div', {class: 'toolbar'}, controls[0]), view.elements()];
}

function operationPage(app) {
  const {model, path} = app;
  const operation = model.operations.find((row) => row.name === path[1]);
  if (!operation) return [h('h1', {}, 'Operation'), empty(`There is no operation "${path[1]}" in this page`, noSpanReasons(model))];
  const samples = model.samplesOfName.get(operation.name) || [];
  const facts = [[operation.wall ? 'Spans' : 'Span ids', count(operation.spans)], ...(operation.wall ? [['CPU / span', duration(operation.each)]] : []), ['CPU', duration(operation.cpu)],
    ['Share of process', share(operation.cpu, model.all.cpu)], ['Samples', count(operation.samples)],
    ...(operation.wall ? [['p50', duration(operation.p50)], ['p95', duration(operation.p95)], ['Max', duration(operation.max)], ['Errors', count(operation.errors)]] : [])];
  const view = new ProfileView(app, {title: operation.name, samples, facts, reasons: samples.length === 0 ? operationReasons(model, operation.name) : [],
    emptyTitle: 'Why is this operation empty?'});
  app.view = view;
  return [heading(model, view.view, operation.name), h('dl', {class: 'facts'}, facts.map(([name, value]) => fact(name, value))), view.elements(), spansOf(app, operation.name, samples)];
}

// The spans behind an operation: the recorded ones, or of a bare profile those that samples name.
function spansOf(app, name, samples) {
  const {model} = app;
  let rows = model.spans.filter((span) => span.name === name).map((span) => ({id: span.id, wall: span.duration, cpu: span.allCpu, samples: span.allCount, error: span.error}));
  if (rows.length === 0) {
    const found = new Map();
    for (const i of samples) {
      const id = model.sampleSpan[i];
      if (id === NONE) continue;
      if (!found.has(id)) found.set(id, {id, wall: 0, cpu: 0, samples: 0, error: false});
      found.get(id).cpu += model.sampleCpu[i];
      found.get(id).samples += model.sampleCount[i];
    }
    rows = [...found.values()];
  }
  if (rows.length === 0) return null;
  const columns = [
    {key: 'id', label: 'Span', class: 'name', value: (row) => model.id(row.id), cell: (row) =>
      [h('a', {href: link(['span', model.id(row.id)])}, h('code', {}, model.id(row.id))), row.error && h('span', {class: 'badge error'}, 'failed')]},
    {key: 'wall', label: 'Wall time', number: true, value: (row) => row.wall, cell: (row) => (row.wall > 0 ? duration(row.wall) : '–')},
    {key: 'cpu', label: 'On CPU', number: true, value: (row) => row.cpu, cell: (row) => duration(row.cpu)},
    {key: 'samples', label: 'Samples', number: true, value: (row) => row.samples, cell: (row) => count(row.samples)},
  ];
  return [h('h2', {}, 'Spans'), table({label: 'Spans of this operation', columns, rows, sort: rows.some((row) => row.wall > 0) ? 'wall' : 'cpu', step: 20,
    href: (row) => link(['span', model.id(row.id)])})];
}

function processPage(app) {
  const {model, query} = app;
  const outside = query.outside === '1';
  const samples = outside ? model.outside : model.allSamples;
  const sum = model.sum(samples);
  const controls = choice('Which samples', [['', 'Everything'], ['1', 'Outside spans']], query.outside || '', (value) => app.go({outside: value, z: ''}));
  const title = outside ? 'Outside any span' : 'Process';
  const view = new ProfileView(app, {title, samples, facts: [], controls, emptyTitle: outside ? 'Nothing ran outside a span' : 'Why is it empty?',
    reasons: outside && model.all.count > 0 ? ['Every sample carries a span\'s id or name.'] : [...profileReasons(model), ...lossReasons(model)]});
  app.view = view;
  return [heading(model, view.view, title), summary(model), samples.length === 0 && h('div', {class: 'toolbar'}, controls), view.elements()];
}
