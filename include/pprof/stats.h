// What the profiler did and what it could not do, as counters. Loss is never silent: whatever is
// missing from a profile is counted here and, where it has a weight, stands in the profile under a
// named frame.
#pragma once

#include <cstdint>

#include <pprof/export.h>

namespace pprof {

// Counts since process start that only grow, but for the fields named *_bytes, which tell the
// present size. A *sample* counts its weight: 1 + the timer expiries that the kernel merged into
// one signal.
struct Stats {
  // Signals.
  std::uint64_t deliveries = 0;  // SIGPROF of our timers that reached the handler
  std::uint64_t overruns = 0;    // expiries merged into those (weight beyond 1)
  std::uint64_t foreign_signals =
      0;  // SIGPROF that was not ours, given to the handler that was there before
  std::uint64_t stale_signals = 0;  // ours, but for a profile that had ended
  std::uint64_t handler_replaced =
      0;  // times that somebody else installed a SIGPROF handler over ours

  // Samples.
  std::uint64_t samples = 0;           // stored with a stack
  std::uint64_t samples_labelled = 0;  // of those: with a span id, a span name or a user label
  std::uint64_t samples_lost = 0;      // sum of the lost_* fields
  std::uint64_t lost_ring_full = 0;    // the collector did not come in time
  std::uint64_t lost_no_ring = 0;      // all sample buffers were in use
  std::uint64_t lost_reentrant = 0;    // the handler was interrupted by itself
  std::uint64_t samples_over_memory_cap = 0;  // kept, but under the frame "[stack storage full]"
  // Under "[thread exit correction]", measured: CPU time that timers had not delivered when a
  // registered thread ended or sampling stopped, and when a thread's first scope ended.
  std::uint64_t samples_exit_correction = 0;
  // Under "[thread exit, estimated]": what the ends of threads cost in the kernel after their
  // clocks were read for the last time.
  std::uint64_t samples_exit_estimated = 0;
  std::uint64_t samples_timer_refused =
      0;  // under "[not sampled: timer refused]": CPU time of threads without a timer
  // Under "[not sampled: threads that ended unseen]": also what a thread used before it was found.
  std::uint64_t samples_threads_unseen = 0;
  std::uint64_t samples_signal_blocked = 0;  // under "[not sampled: SIGPROF blocked]"
  // Under "[not sampled: SIGPROF taken by another handler]": all CPU time since it was taken twice.
  std::uint64_t samples_handler_taken = 0;
  // Under "[not sampled: paused for exec]": between PrepareForExec and ExecFailed.
  std::uint64_t samples_paused_for_exec = 0;

  // Stacks (deliveries, not weights).
  std::uint64_t stacks_complete = 0;       // reached the thread's entry
  std::uint64_t stacks_truncated = 0;      // deeper than 512 frames: the leaf-most are kept
  std::uint64_t stacks_no_unwind_row = 0;  // ended at code without unwind information
  std::uint64_t stacks_bad_unwind_row =
      0;  // ended at unwind information this library does not evaluate
  std::uint64_t stacks_unreadable = 0;       // ended at memory that could not be read
  std::uint64_t stacks_not_progressing = 0;  // ended because the next frame was not above the last

  // Threads and timers.
  std::uint64_t threads_registered = 0;      // found by their first label, scope or span
  std::uint64_t threads_scanned = 0;         // found in /proc/self/task
  std::uint64_t threads_over_limit = 0;      // beyond the number of threads this library can hold
  std::uint64_t threads_signal_blocked = 0;  // blocked SIGPROF when they were found
  std::uint64_t scans_failed = 0;  // /proc/self/task could not be read: only threads with labels or
                                   // spans are found
  std::uint64_t timers_created = 0;
  std::uint64_t timers_refused =
      0;  // no CPU-time timer (RLIMIT_SIGPENDING): that thread is not sampled
  std::uint64_t timers_reaped = 0;  // of threads that had ended

  // Labels.
  std::uint64_t labels_dropped = 0;  // reserved or empty keys, beyond the size of a label set, or
                                     // without memory: a label, a set, a span's labels
  std::uint64_t scopes_misplaced =
      0;  // LabelScope or SpanGuard destroyed on another thread: no effect there
  std::uint64_t context_storage_lost =
      0;  // the bridge's context storage was replaced by somebody after us

  // Modules and symbols.
  std::uint64_t modules_loaded = 0;
  std::uint64_t modules_unreadable =
      0;  // ELF or .eh_frame broken: stacks through them may end there
  std::uint64_t symbols_unreadable =
      0;  // module with few names or none: its file or .dwo file gone, replaced, or broken
  std::uint64_t symbols_over_memory_cap = 0;

  // Cost.
  std::uint64_t library_cpu_ns = 0;  // CPU time of the library's own threads
  std::uint64_t unwind_table_bytes = 0;
  std::uint64_t ring_bytes = 0;
  std::uint64_t aggregation_bytes = 0;
};

// Any thread. Not async-signal-safe.
PPROF_EXPORT Stats ReadStats() noexcept;

}  // namespace pprof
