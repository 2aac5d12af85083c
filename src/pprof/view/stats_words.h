// Every counter of pprof::Stats with its name and what it says, in words for a person.
#pragma once

#include <pprof/stats.h>

#include <cstddef>
#include <cstdint>

namespace pprof::view {

struct CounterWords {
  const char* name;
  std::uint64_t Stats::*value;
  const char* words;
};

inline constexpr CounterWords kCounters[] = {
    {"deliveries", &Stats::deliveries, "timer signals that reached the handler"},
    {"overruns", &Stats::overruns, "timer expiries that the kernel merged into those signals"},
    {"foreign_signals", &Stats::foreign_signals, "SIGPROF that was not ours, passed on"},
    {"stale_signals", &Stats::stale_signals, "signals of a profile that had ended"},
    {"handler_replaced", &Stats::handler_replaced,
     "times that somebody else installed a SIGPROF handler over ours"},
    {"samples", &Stats::samples, "samples stored with a stack"},
    {"samples_labelled", &Stats::samples_labelled,
     "samples with a span id, a span name or a label of the program"},
    {"samples_lost", &Stats::samples_lost, "samples lost, for all reasons below"},
    {"lost_ring_full", &Stats::lost_ring_full, "samples lost: the collector did not come in time"},
    {"lost_no_ring", &Stats::lost_no_ring, "samples lost: all sample buffers were in use"},
    {"lost_reentrant", &Stats::lost_reentrant,
     "samples lost: the handler was interrupted by itself"},
    {"samples_over_memory_cap", &Stats::samples_over_memory_cap,
     "samples kept without their stack: stack storage was full"},
    {"samples_exit_correction", &Stats::samples_exit_correction,
     "CPU time of ended threads that timers had not delivered, measured"},
    {"samples_exit_estimated", &Stats::samples_exit_estimated,
     "CPU time that the ends of threads cost in the kernel, estimated"},
    {"samples_timer_refused", &Stats::samples_timer_refused,
     "CPU time of threads whose timer was refused: no stacks of them"},
    {"samples_threads_unseen", &Stats::samples_threads_unseen,
     "CPU time of threads that ended before they were found"},
    {"samples_signal_blocked", &Stats::samples_signal_blocked,
     "CPU time of threads that block SIGPROF: no stacks of them"},
    {"samples_handler_taken", &Stats::samples_handler_taken,
     "CPU time while another handler had taken SIGPROF"},
    {"samples_paused_for_exec", &Stats::samples_paused_for_exec,
     "CPU time between PrepareForExec and ExecFailed"},
    {"stacks_complete", &Stats::stacks_complete, "stacks that reach the thread's entry"},
    {"stacks_truncated", &Stats::stacks_truncated,
     "stacks deeper than 512 frames, cut at the root"},
    {"stacks_no_unwind_row", &Stats::stacks_no_unwind_row,
     "stacks that end at code without unwind information"},
    {"stacks_bad_unwind_row", &Stats::stacks_bad_unwind_row,
     "stacks that end at unwind information that is not understood"},
    {"stacks_unreadable", &Stats::stacks_unreadable,
     "stacks that end at memory that cannot be read"},
    {"stacks_not_progressing", &Stats::stacks_not_progressing,
     "stacks that end because the next frame was not above the last"},
    {"threads_registered", &Stats::threads_registered,
     "threads found by their first span or label"},
    {"threads_scanned", &Stats::threads_scanned, "threads found in /proc"},
    {"threads_over_limit", &Stats::threads_over_limit,
     "threads beyond the number that can be sampled"},
    {"threads_signal_blocked", &Stats::threads_signal_blocked, "threads that block SIGPROF"},
    {"scans_failed", &Stats::scans_failed,
     "times that /proc/self/task could not be read: only threads with labels or spans are found"},
    {"timers_created", &Stats::timers_created, "timers created"},
    {"timers_refused", &Stats::timers_refused,
     "timers refused by the system: those threads are not sampled"},
    {"timers_reaped", &Stats::timers_reaped, "timers of ended threads taken back"},
    {"labels_dropped", &Stats::labels_dropped,
     "labels left out: reserved, too large, or no memory"},
    {"scopes_misplaced", &Stats::scopes_misplaced,
     "scopes destroyed on another thread than the one they label"},
    {"context_storage_lost", &Stats::context_storage_lost,
     "times that the bridge's context storage was replaced: spans get no labels then"},
    {"modules_loaded", &Stats::modules_loaded, "program and libraries known"},
    {"modules_unreadable", &Stats::modules_unreadable,
     "modules whose unwind information is broken"},
    {"symbols_unreadable", &Stats::symbols_unreadable,
     "modules with few names or none: file gone, replaced or broken"},
    {"symbols_over_memory_cap", &Stats::symbols_over_memory_cap,
     "symbols left out: their memory was full"},
    {"library_cpu_ns", &Stats::library_cpu_ns, "CPU time of the profiler's own threads, in ns"},
    {"unwind_table_bytes", &Stats::unwind_table_bytes, "memory of unwind tables, in bytes"},
    {"ring_bytes", &Stats::ring_bytes, "memory of sample buffers, in bytes"},
    {"aggregation_bytes", &Stats::aggregation_bytes, "memory of counted samples, in bytes"},
};
static_assert(sizeof kCounters / sizeof kCounters[0] == sizeof(Stats) / sizeof(std::uint64_t),
              "a counter of pprof::Stats is missing here");

}  // namespace pprof::view
