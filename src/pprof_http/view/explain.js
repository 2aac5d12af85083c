// Why there is nothing to see: the reasons that fit the numbers, the surest first, in words.

function lossReasons(model) {
  const reasons = [];
  const say = (name, words) => { const value = model.stat(name); if (value > 0) reasons.push(words(value)); };
  say('samples_lost', (n) => `${plural(n, 'sample')} ${n === 1 ? 'was' : 'were'} lost before ${n === 1 ? 'it' : 'they'} could be stored, perhaps of this work. See Status.`);
  say('timers_refused', (n) => `The system refused ${plural(n, 'timer')} (RLIMIT_SIGPENDING): a thread without one is not sampled at all.`);
  say('threads_over_limit', (n) => `${plural(n, 'thread')} beyond what the profiler can hold: not sampled.`);
  say('samples_signal_blocked', (n) => `CPU time of ${plural(n, 'sample')} ran on threads that block SIGPROF.`);
  say('handler_replaced', (n) => `Another SIGPROF handler replaced the profiler's, ${plural(n, 'time')}: nothing is sampled meanwhile.`);
  say('context_storage_lost', () => 'Somebody replaced the bridge\'s context storage: spans are no longer seen by the profiler.');
  return reasons;
}

// Work that ran while no span was current, and in which functions.
function outsideReason(model) {
  const {count: hits, cpu} = model.sum(model.outside);
  if (hits === 0) return [];
  // The program's own functions tell which work it is; without debug information none is known to be its own.
  const rows = functionsOf(model, model.outside).filter((row) => !row.name.startsWith('['));
  const own = rows.filter((row) => model.packages.ofFunction[row.fn].own).sort((a, b) => b.total - a.total);
  const names = (own.length > 0 ? own : rows.filter((row) => row.self > 0)).slice(0, 3).map((row) => shortName(row.name));
  return [`${plural(hits, 'sample')} (${share(cpu, model.all.cpu)} of the CPU time) ran without a span` +
    (names.length > 0 ? `, mostly in ${names.join(', ')}` : '') +
    '. If that is work of this span, its context was never attached on the thread that did it: wrap the work in a Scope there.'];
}

function profileReasons(model) {
  if (model.all.count > 0) return [];
  return [model.profileDuration > 0 ? `The profile of ${duration(model.profileDuration)} holds no sample at all: the process used next to no CPU, or could not be sampled.`
    : 'There is no profile yet: the first samples come when the first window ends.'];
}

function timeReasons(model, span) {
  const reasons = [];
  const end = model.profileStart + model.profileDuration;
  if (model.profileDuration > 0 && span.start + span.duration < model.profileStart) {
    reasons.push(`It ended ${duration(model.profileStart - span.start - span.duration)} before this profile began.`);
  } else if (span.start < model.profileStart) {
    reasons.push(`The profile began ${duration(model.profileStart - span.start)} after the span did; what ran before is missing.`);
  } else if (model.profileDuration > 0 && span.start > end) {
    reasons.push(`It began ${duration(span.start - end)} after this profile ended.`);
  }
  return reasons;
}

// Of one span without samples of its own.
function spanReasons(model, span) {
  if (model.all.count === 0) return [...profileReasons(model), ...lossReasons(model)];
  const reasons = timeReasons(model, span);
  const period = duration(model.period);
  if (span.profiled === NONE) {
    reasons.push(span.sampled ? 'Its id was never put on samples: the profiler was not running, or its tracer is not wrapped by the bridge.'
      : 'Its trace was not sampled, so samples carry no span id for it. They still count under the name of the operation.');
  } else if (span.profiled !== span.id) {
    const root = model.spanById.get(span.profiled);
    reasons.push(`Samples of its work carry the id of its local root${root ? ` "${root.name}"` : ''} (${model.id(span.profiled)}): open that span.`);
  }
  if (span.duration < model.period) {
    reasons.push(`It lasted ${duration(span.duration)}, and a sample is taken every ${period} of CPU time: at most about ${share(span.duration, model.period)} ` +
      'of such spans have one. The flame graph of all spans of this name shows them together.');
  } else {
    reasons.push(`On the threads where it was current it used less CPU than one sample (${period}) in ${duration(span.duration)}: there it waited, for a lock, the disk, the network or another thread.`);
  }
  return [...reasons, ...outsideReason(model), ...lossReasons(model)];
}

function operationReasons(model, name) {
  const spans = model.spans.filter((span) => span.name === name);
  if (model.all.count === 0) return [...profileReasons(model), ...lossReasons(model)];
  const reasons = [];
  const moved = spans.filter((span) => span.profiled !== NONE && span.profiled !== span.id);
  if (moved.length > 0) reasons.push('Samples of this work carry the id and the name of the local root of its trace: open the root\'s operation.');
  if (moved.length > 0 && moved.length === spans.length) return [...reasons, ...lossReasons(model)];
  const wall = spans.reduce((sum, span) => sum + span.duration, 0);
  reasons.push(`A sample is taken every ${duration(model.period)} of a thread's CPU time, and none fell into these spans` +
    `${wall > 0 ? ` in ${duration(wall)} of wall time` : ''}: together they most likely used less than ${duration(3 * model.period)} of CPU.`);
  return [...reasons, ...outsideReason(model), ...lossReasons(model)];
}

// Of a page without spans, and of one without anything.
function noSpanReasons(model) {
  const reasons = model.live ? ['No span has ended yet since the page\'s recorder was switched on.']
    : ['This page was made from a pprof file, which holds samples and their labels, but no spans: no start, duration, parent or status.',
      'otel-profiling-view --spans adds recorded spans; the page that a process serves at /debug/spans has them.'];
  if (model.samplesOfName.size === 0 && model.all.count > 0) {
    reasons.push('No sample carries a span\'s id or name: the tracer provider is not wrapped by the bridge, or no span was current while it was profiled.');
  }
  return [...reasons, ...profileReasons(model), ...lossReasons(model)];
}
