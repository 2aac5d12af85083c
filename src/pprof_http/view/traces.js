// The pages Traces and Trace: which ones were slow or failed, and what ran when.

function tracesOf(model) {
  const traces = new Map();
  for (const span of model.spans) {
    if (!traces.has(span.trace)) traces.set(span.trace, {id: span.trace, spans: []});
    traces.get(span.trace).spans.push(span);
  }
  for (const trace of traces.values()) {
    trace.start = Infinity;
    let end = -Infinity;
    trace.cpu = trace.samples = trace.errors = 0;
    for (const span of trace.spans) {
      trace.start = Math.min(trace.start, span.start);
      end = Math.max(end, span.start + span.duration);
      trace.cpu += span.cpu;
      trace.samples += span.count;
      trace.errors += span.error ? 1 : 0;
    }
    trace.duration = end - trace.start;
    const tops = trace.spans.filter((span) => span.up === null).sort((a, b) => a.start - b.start || b.duration - a.duration);
    trace.tops = tops;
    trace.name = (tops.find((span) => span.parent === NONE) || tops[0]).name;
  }
  return [...traces.values()];
}

// Limits of latency: 1, 3, 10, 30 ..; bucket i is below the limit i.
const LIMITS = Array.from({length: 24}, (_, i) => (i % 2 === 0 ? 1 : 3) * 10 ** (3 + Math.floor(i / 2)));
const bucketOf = (ns) => { const found = LIMITS.findIndex((limit) => ns < limit); return found < 0 ? LIMITS.length : found; };
const bucketName = (i) => (i === 0 ? `< ${duration(LIMITS[0])}` : i === LIMITS.length ? `≥ ${duration(LIMITS[i - 1])}` : `${duration(LIMITS[i - 1])} – ${duration(LIMITS[i])}`);

function latencyButtons(app, traces) {
  const sums = new Array(LIMITS.length + 1).fill(0);
  for (const trace of traces) ++sums[bucketOf(trace.duration)];
  const from = sums.findIndex((sum) => sum > 0), to = sums.findLastIndex((sum) => sum > 0);
  const most = Math.max(...sums);
  const chosen = app.query.bucket;
  return h('div', {class: 'buckets', role: 'group', 'aria-label': 'Traces by duration'}, sums.slice(from, to + 1).map((sum, i) =>
    h('button', {type: 'button', 'aria-pressed': String(chosen === String(from + i)), disabled: sum === 0,
      title: `${plural(sum, 'trace')} of ${bucketName(from + i)}`,
      onclick: () => app.go({bucket: chosen === String(from + i) ? '' : String(from + i)})},
    h('span', {class: 'bucket-bar', style: {height: `${sum > 0 ? 3 + (29 * sum) / most : 0}px`}}), h('span', {}, bucketName(from + i)), h('span', {class: 'faint'}, count(sum)))));
}

function tracesPage(app) {
  const {model, query} = app;
  const title = h('h1', {}, 'Traces');
  if (model.spans.length === 0) return [title, empty('No trace to show', noSpanReasons(model))];
  const traces = app.traces;
  const rows = traces.filter((trace) => (query.only !== 'failed' || trace.errors > 0) &&
    (!query.bucket || bucketOf(trace.duration) === Number(query.bucket)));
  const most = Math.max(...traces.map((trace) => trace.duration));
  const columns = [
    {key: 'name', label: 'Trace', class: 'name', value: (trace) => trace.name, cell: (trace) => [
      h('a', {href: link(['trace', model.id(trace.id)]), title: trace.name}, trace.name), trace.errors > 0 && h('span', {class: 'badge error'}, 'failed')]},
    {key: 'start', label: 'Started', number: true, value: (trace) => trace.start, cell: (trace) => clock(model.timeOf(trace.start)).slice(11, 23)},
    {key: 'duration', label: 'Duration', number: true, value: (trace) => trace.duration, cell: (trace) => [bar(trace.duration, most, 'wall'), h('span', {}, duration(trace.duration))]},
    {key: 'cpu', label: 'On CPU', number: true, title: 'CPU time of its samples', value: (trace) => trace.cpu, cell: (trace) => duration(trace.cpu)},
    {key: 'spans', label: 'Spans', number: true, value: (trace) => trace.spans.length, cell: (trace) => count(trace.spans.length)},
    {key: 'samples', label: 'Samples', number: true, value: (trace) => trace.samples, cell: (trace) => count(trace.samples)},
  ];
  return [title,
    h('div', {class: 'toolbar'},
      choice('Which traces', [['', `All ${count(traces.length)}`], ['failed', `Failed ${count(traces.filter((trace) => trace.errors > 0).length)}`]],
        query.only || '', (only) => app.go({only})),
      query.bucket && h('button', {type: 'button', onclick: () => app.go({bucket: ''})}, `Duration ${bucketName(Number(query.bucket))} ×`)),
    latencyButtons(app, traces),
    rows.length === 0 ? empty('No trace is like that', ['Nothing that was kept fits both filters.'])
      : table({label: 'Traces', columns, rows, sort: query.sort || 'duration', descending: query.up !== '1',
        href: (trace) => link(['trace', model.id(trace.id)]), onsort: (sort, descending) => app.set({sort, up: descending ? '' : '1'})})];
}

// Spans in the order of the tree, with their depth.
function inOrder(tops) {
  const rows = [];
  const open = tops.map((span) => [span, 0]).reverse();
  while (open.length > 0) {
    const [span, depth] = open.pop();
    rows.push({span, depth});
    for (let i = span.children.length - 1; i >= 0; --i) open.push([span.children[i], depth + 1]);
  }
  return rows;
}

function waterfallRow(model, trace, {span, depth}) {
  const left = (100 * (span.start - trace.start)) / (trace.duration || 1);
  const width = (100 * span.duration) / (trace.duration || 1);
  const busy = Math.min(1, span.allCpu / (span.duration || 1));
  const borrowed = span.profiled !== NONE && span.profiled !== span.id;
  const after = `starts after ${duration(span.start - trace.start)}, on CPU ${duration(span.allCpu)}`;
  return h('a', {class: 'fall-row', href: link(['span', model.id(span.id)]), title: `${span.name}: ${after}`},
    h('span', {class: 'fall-name', style: {paddingLeft: `${Math.min(depth, 14) * 14}px`}},
      span.error && h('span', {class: 'dot error'}), h('span', {class: 'clip'}, span.name), h('span', {class: 'offscreen'}, `${span.error ? ', failed' : ''}, ${after}, wall time `)),
    h('span', {class: 'fall-track'},
      h('span', {class: `fall-bar${span.error ? ' error' : ''}`, style: {left: `${left}%`, width: `max(3px, ${width}%)`}},
        h('span', {class: 'fall-busy', style: {width: `${busy * 100}%`}}))),
    h('span', {class: 'fall-words'}, duration(span.duration)),
    h('span', {class: 'offscreen'}, ', samples '),
    h('span', {class: 'fall-words'}, span.allCount > 0 ? h('span', {class: 'badge'}, count(span.allCount)) : borrowed ? h('span', {class: 'badge hollow'}, 'in root') : '–'));
}

// Only the rows that can be seen are in the page.
function waterfall(model, trace) {
  const rows = inOrder(trace.tops);
  const height = 28;
  const list = h('div', {class: 'fall-list', style: {height: `${rows.length * height}px`}});
  const box = h('div', {class: 'fall', role: 'region', 'aria-label': `Waterfall of ${plural(rows.length, 'span')}`, tabindex: '0'}, list);
  let drawn = '';
  const draw = () => {
    const from = Math.max(0, Math.floor(box.scrollTop / height) - 10);
    const to = Math.min(rows.length, from + Math.ceil((box.clientHeight || 600) / height) + 20);
    if (drawn === `${from} ${to}`) return;
    drawn = `${from} ${to}`;
    list.replaceChildren(...rows.slice(from, to).map((row, i) => {
      const element = waterfallRow(model, trace, row);
      element.style.top = `${(from + i) * height}px`;
      return element;
    }));
  };
  box.addEventListener('scroll', () => requestAnimationFrame(draw));
  draw();
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => h('span', {style: {left: `${part * 100}%`}}, duration(part * trace.duration)));
  return h('div', {class: 'fall-box'}, h('div', {class: 'fall-head', 'aria-hidden': 'true'}, h('span', {}, 'Span'), h('span', {class: 'fall-ticks'}, ticks), h('span', {class: 'fall-words'}, 'Wall time'), h('span', {class: 'fall-words'}, 'Samples')), box);
}

function tracePage(app) {
  const {model, path} = app;
  const trace = app.traces.find((candidate) => model.id(candidate.id) === path[1]);
  if (!trace) return [h('h1', {}, 'Trace'), empty(`Trace ${path[1]} is not in this page`, ['It was not kept, or the link is to another page.', ...noSpanReasons(model)])];
  const missing = trace.spans.filter((span) => span.up === null && span.parent !== NONE).length;
  return [h('h1', {}, trace.name),
    h('dl', {class: 'facts'}, fact('Trace', h('code', {}, model.id(trace.id))), fact('Started', clock(model.timeOf(trace.start))), fact('Duration', duration(trace.duration)),
      fact('On CPU', duration(trace.cpu)), fact('Spans', count(trace.spans.length)), fact('Samples', count(trace.samples)),
      trace.errors > 0 && fact('Failed', h('span', {class: 'badge error'}, count(trace.errors)))),
    h('p', {class: 'legend'}, h('span', {class: 'key wall'}), 'wall time', h('span', {class: 'key busy'}), 'on CPU, of the span and those below it',
      h('span', {class: 'badge'}, '3'), 'samples'),
    waterfall(model, trace),
    missing > 0 && h('p', {class: 'note'}, `The parent of ${plural(missing, 'span')} is not here: it ran in another process, or was not kept.`)];
}
