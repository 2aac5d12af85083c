#include <pprof/stats.h>

#include "src/pprof/handler/thread_record.h"
#include "src/pprof/handler/walk.h"
#include "src/pprof/labels/thread.h"
#include "src/pprof/profiler/shared_symbolizer.h"
#include "src/pprof/sampler/aggregate.h"
#include "src/pprof/sampler/sampler.h"

namespace pprof {
namespace {

std::uint64_t Read(const std::atomic<std::uint64_t>& counter) noexcept {
  return counter.load(std::memory_order_relaxed);
}

void ReadHandler(Stats& stats) noexcept {
  const handler::HandlerCounters& from = handler::g_shared.counters;
  stats.deliveries = Read(from.deliveries);
  stats.overruns = Read(from.overruns);
  stats.foreign_signals = Read(from.foreign_signals);
  stats.stale_signals = Read(from.stale_signals);
  stats.lost_ring_full = Read(from.lost_ring_full);
  stats.lost_no_ring = Read(from.lost_no_ring);
  stats.lost_reentrant = Read(from.lost_reentrant);
  stats.samples_lost = stats.lost_ring_full + stats.lost_no_ring + stats.lost_reentrant;
  const handler::SampleCounters& taken = handler::g_shared.sample_counters;
  stats.samples = Read(taken.samples);
  stats.samples_labelled = Read(taken.samples_labelled);
  const auto ends = [&](handler::WalkEnd end) {
    // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): it does not see the reference captured
    return Read(taken.walk_ends[static_cast<int>(end)]);
  };
  stats.stacks_complete = ends(handler::WalkEnd::kComplete);
  stats.stacks_truncated = ends(handler::WalkEnd::kTruncated);
  stats.stacks_no_unwind_row = ends(handler::WalkEnd::kNoRow);
  stats.stacks_bad_unwind_row = ends(handler::WalkEnd::kBadRow);
  stats.stacks_unreadable = ends(handler::WalkEnd::kUnreadable);
  stats.stacks_not_progressing = ends(handler::WalkEnd::kNotProgressing);
}

void ReadSampler(Stats& stats) {
  sampler::Sampler& sampler = sampler::Sampler::Get();
  const sampler::SamplerStats from = sampler.ReadStats();
  stats.samples_over_memory_cap = from.storage_full;
  const auto owed = [&](sampler::Special frame) { return from.owed[static_cast<int>(frame)]; };
  stats.samples_exit_correction = owed(sampler::Special::kExitCorrection);
  stats.samples_exit_estimated = owed(sampler::Special::kExitEstimated);
  stats.samples_timer_refused = owed(sampler::Special::kTimerRefused);
  stats.samples_threads_unseen = owed(sampler::Special::kUnseenThreads);
  stats.samples_signal_blocked = owed(sampler::Special::kSignalBlocked);
  stats.samples_handler_taken = owed(sampler::Special::kHandlerTaken);
  stats.samples_paused_for_exec = owed(sampler::Special::kPausedForExec);
  stats.handler_replaced = from.handler_replaced;
  stats.library_cpu_ns = from.library_cpu_ns;
  stats.ring_bytes = from.ring_bytes;
  stats.modules_loaded = from.modules.modules_loaded;
  stats.modules_unreadable = from.modules.modules_unreadable;
  stats.unwind_table_bytes = from.modules.table_bytes;
  const sampler::TimerStats& timers = sampler.timer_stats();
  stats.scans_failed = Read(timers.scans_failed);
  stats.timers_created = Read(timers.created);
  stats.timers_refused = Read(timers.refused);
  stats.timers_reaped = Read(timers.reaped);
  stats.threads_scanned = Read(timers.scanned);
  stats.threads_signal_blocked = Read(timers.signal_blocked);
}

}  // namespace

Stats ReadStats() noexcept {
  Stats stats;
  ReadHandler(stats);
  try {
    ReadSampler(stats);
  } catch (...) {  // no memory: those fields stay 0
  }
  stats.aggregation_bytes = sampler::AggregateBytes();
  stats.threads_registered = Read(labels::g_label_counters.threads_registered);
  stats.threads_over_limit = Read(labels::g_label_counters.threads_over_limit);
  stats.labels_dropped = Read(labels::g_label_counters.labels_dropped);
  stats.scopes_misplaced = Read(labels::g_label_counters.scopes_misplaced);
  stats.context_storage_lost = Read(labels::g_label_counters.context_storage_lost);
  const symbolize::SymbolizerStats symbols = profiler::ReadSymbolizerStats();
  stats.symbols_unreadable = symbols.modules_unreadable;
  stats.symbols_over_memory_cap = symbols.over_memory_cap;
  return stats;
}

}  // namespace pprof
