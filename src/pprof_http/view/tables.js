// The pages Operations and Status.

// Wall times of an operation on one logarithmic scale for all: a line to the maximum, a block from p50 to p95.
function wallRange(row, scale) {
  if (!row.wall) return '–';
  const at = (ns) => (100 * (Math.log(Math.max(ns, scale.least)) - Math.log(scale.least))) / (Math.log(scale.most) - Math.log(scale.least) || 1);
  const [p50, p95, max] = [at(row.p50), at(row.p95), at(row.max)];
  const words = `p50 ${duration(row.p50)}, p95 ${duration(row.p95)}, max ${duration(row.max)}`;
  return h('span', {class: 'range', role: 'img', 'aria-label': words, title: words},
    h('span', {class: 'range-line', style: {left: `${p50}%`, width: `${max - p50}%`}}),
    h('span', {class: 'range-block', style: {left: `${p50}%`, width: `max(3px, ${p95 - p50}%)`}}),
    h('span', {class: 'range-max', style: {left: `calc(${max}% - 2px)`}}));
}

// Where samples carry the id and the name of the root, they say nothing of the spans below it.
function known(row, cell) {
  return row.inRoot ? h('span', {title: 'Its samples carry the id and the name of its root span'}, '–') : cell();
}

function operationColumns(model, scale) {
  const time = (key, label, title) => ({key, label, title, number: true, value: (row) => row[key], cell: (row) => (row.wall ? duration(row[key]) : '–')});
  const recorded = model.spans.length > 0 || model.doc.operations !== undefined;
  return [
    {key: 'name', label: 'Operation', class: 'name', value: (row) => row.name,
      cell: (row) => h('a', {href: link(['op', row.name]), title: row.name}, row.name)},
    {key: 'spans', label: recorded ? 'Spans' : 'Span ids', title: recorded ? undefined : 'Of its samples; spans without a sample are not in a profile', number: true, value: (row) => row.spans, cell: (row) => count(row.spans)},
    {key: 'errors', label: 'Errors', number: true, value: (row) => row.errors,
      cell: (row) => (row.errors > 0 ? h('span', {class: 'badge error'}, count(row.errors)) : '0')},
    {key: 'wall', label: 'Wall time', class: 'wall', title: `p50 to p95 and the maximum, on one logarithmic scale from ${duration(scale.least)} to ${duration(scale.most)}`,
      value: (row) => row.p95, cell: (row) => wallRange(row, scale)},
    time('p50', 'p50', 'Half of the spans were shorter'), time('p95', 'p95', '95 % of the spans were shorter'), time('max', 'Max', 'The longest span'),
    {key: 'each', label: 'CPU / span', number: true, title: 'CPU time of all samples of this name by the number of its spans',
      value: (row) => row.each, cell: (row) => known(row, () => duration(row.each))},
    {key: 'cpu', label: 'CPU', number: true, title: 'CPU time of all samples of this name', value: (row) => row.cpu, cell: (row) => known(row, () => duration(row.cpu))},
    {key: 'share', label: 'Share', number: true, title: 'Of the CPU time of the process', value: (row) => row.cpu,
      cell: (row) => known(row, () => [bar(row.cpu, model.all.cpu), h('span', {}, share(row.cpu, model.all.cpu))])},
    {key: 'samples', label: 'Samples', number: true, value: (row) => row.samples, cell: (row) => known(row, () => count(row.samples))},
  ].filter((column) => recorded || !['wall', 'p50', 'p95', 'max', 'errors', 'each'].includes(column.key));
}

function summary(model) {
  const inside = model.all.cpu - model.sum(model.outside).cpu;
  return h('dl', {class: 'facts'},
    fact('CPU time', duration(model.all.cpu), 'Of all samples of this profile'),
    fact('In spans', share(inside, model.all.cpu), 'CPU time of samples that carry a span\'s id or name'),
    fact('Samples', count(model.all.count)), fact('Sampled every', `${duration(model.period)} CPU`),
    model.profileDuration > 0 && fact('Window', duration(model.profileDuration)),
    model.spans.length > 0 && fact('Spans kept', count(model.spans.length)),
    model.spans.length > 0 && fact('Failed', count(model.spans.filter((span) => span.error).length)));
}

function operationsPage(app) {
  const {model, query} = app;
  const rows = model.operations;
  const title = h('h1', {}, 'Operations');
  if (rows.length === 0) return [title, summary(model), empty('No operation to show', noSpanReasons(model))];
  const walls = rows.filter((row) => row.wall && row.max > 0);
  const least = Math.max(1, Math.min(...walls.map((row) => row.p50 || row.max)));
  const scale = {least, most: Math.max(least * 10, ...walls.map((row) => row.max))};
  const outside = model.sum(model.outside);
  return [title, summary(model),
    table({label: 'Operations', columns: operationColumns(model, scale), rows, sort: query.sort || 'cpu', descending: query.up !== '1',
      href: (row) => link(['op', row.name]), onsort: (sort, descending) => app.set({sort, up: descending ? '' : '1'})}),
    h('p', {class: 'note'}, `${duration(outside.cpu)} (${share(outside.cpu, model.all.cpu)}) of the CPU time ran outside any span. `,
      h('a', {href: link(['process'], {outside: '1'})}, 'See its functions'))];
}

const TROUBLE = /^(samples_lost|lost_|timers_refused|handler_replaced|threads_over_limit|labels_dropped|context_storage_lost|modules_unreadable|scopes_misplaced|samples_(over|timer|signal|handler))/;

const NOT_KEPT = {spans: 'Spans forgotten to make room', not_recorded: 'Spans never recorded: no room'};

function statusPage(app) {
  const {model} = app;
  const troubles = model.stats.filter((stat) => stat.value > 0 && TROUBLE.test(stat.name));
  const dropped = Object.entries(model.doc.dropped || {}).filter(([, value]) => Number.isFinite(value));
  const shown = (stat) => (stat.name.endsWith('_ns') ? duration(stat.value) : count(stat.value));
  const columns = [
    {key: 'name', label: 'Counter', class: 'name', value: (stat) => stat.name,
      cell: (stat) => [h('code', {}, stat.name), troubles.includes(stat) && h('span', {class: 'badge warn'}, 'look')]},
    {key: 'value', label: 'Value', number: true, value: (stat) => stat.value, cell: shown},
    {key: 'words', label: 'Meaning', value: (stat) => stat.words, cell: (stat) => stat.words},
  ];
  return [h('h1', {}, 'Status'), summary(model),
    model.stats.length > 0 && h('p', {class: troubles.length > 0 ? 'verdict warn' : 'verdict ok'}, troubles.length > 0
      ? `${plural(troubles.length, 'counter')} say${troubles.length === 1 ? 's' : ''} that something is missing from this profile; marked "look" below.`
      : 'No counter says that anything is missing from this profile.'),
    model.notes.length > 0 && h('section', {}, h('h2', {}, 'Notes'), h('ul', {class: 'notes'}, model.notes.map((note) => h('li', {}, note)))),
    dropped.length > 0 && h('section', {}, h('h2', {}, 'Not kept by the recorder'),
      h('dl', {class: 'facts'}, dropped.map(([name, value]) => fact(NOT_KEPT[name] || name, count(value))))),
    h('h2', {}, 'Counters of the profiler'),
    model.stats.length > 0 ? table({label: 'Counters', columns, rows: model.stats, step: 200})
      : empty('No counters in this page', ['A pprof file does not hold them; the page that a process serves does, and otel-profiling-view --spans takes them along.'])];
}
