#include <cstdint>

#include "src/pprof_http/routes.h"

namespace pprof_http {
namespace {

using pprof::Stats;

struct Counter {
  const char* name;
  std::uint64_t Stats::*value;
};

constexpr Counter kCounters[] = {
    {"deliveries", &Stats::deliveries},
    {"overruns", &Stats::overruns},
    {"foreign_signals", &Stats::foreign_signals},
    {"stale_signals", &Stats::stale_signals},
    {"handler_replaced", &Stats::handler_replaced},
    {"samples", &Stats::samples},
    {"samples_labelled", &Stats::samples_labelled},
    {"samples_lost", &Stats::samples_lost},
    {"lost_ring_full", &Stats::lost_ring_full},
    {"lost_no_ring", &Stats::lost_no_ring},
    {"lost_reentrant", &Stats::lost_reentrant},
    {"samples_over_memory_cap", &Stats::samples_over_memory_cap},
    {"samples_exit_correction", &Stats::samples_exit_correction},
    {"samples_exit_estimated", &Stats::samples_exit_estimated},
    {"samples_timer_refused", &Stats::samples_timer_refused},
    {"samples_threads_unseen", &Stats::samples_threads_unseen},
    {"samples_signal_blocked", &Stats::samples_signal_blocked},
    {"samples_handler_taken", &Stats::samples_handler_taken},
    {"samples_paused_for_exec", &Stats::samples_paused_for_exec},
    {"stacks_complete", &Stats::stacks_complete},
    {"stacks_truncated", &Stats::stacks_truncated},
    {"stacks_no_unwind_row", &Stats::stacks_no_unwind_row},
    {"stacks_bad_unwind_row", &Stats::stacks_bad_unwind_row},
    {"stacks_unreadable", &Stats::stacks_unreadable},
    {"stacks_not_progressing", &Stats::stacks_not_progressing},
    {"threads_registered", &Stats::threads_registered},
    {"threads_scanned", &Stats::threads_scanned},
    {"threads_over_limit", &Stats::threads_over_limit},
    {"threads_signal_blocked", &Stats::threads_signal_blocked},
    {"scans_failed", &Stats::scans_failed},
    {"timers_created", &Stats::timers_created},
    {"timers_refused", &Stats::timers_refused},
    {"timers_reaped", &Stats::timers_reaped},
    {"labels_dropped", &Stats::labels_dropped},
    {"scopes_misplaced", &Stats::scopes_misplaced},
    {"context_storage_lost", &Stats::context_storage_lost},
    {"modules_loaded", &Stats::modules_loaded},
    {"modules_unreadable", &Stats::modules_unreadable},
    {"symbols_unreadable", &Stats::symbols_unreadable},
    {"symbols_over_memory_cap", &Stats::symbols_over_memory_cap},
    {"library_cpu_ns", &Stats::library_cpu_ns},
    {"unwind_table_bytes", &Stats::unwind_table_bytes},
    {"ring_bytes", &Stats::ring_bytes},
    {"aggregation_bytes", &Stats::aggregation_bytes},
};
static_assert(sizeof kCounters / sizeof kCounters[0] == sizeof(Stats) / sizeof(std::uint64_t),
              "a counter of pprof::Stats is missing here");

}  // namespace

std::string StatsJson(const Stats& stats) {
  std::string json = "{";
  for (const Counter& counter : kCounters) {
    json += json.size() == 1 ? "\n  \"" : ",\n  \"";
    json += counter.name;
    json += "\": " + std::to_string(stats.*counter.value);
  }
  return json + "\n}\n";
}

}  // namespace pprof_http
