// The collector's half of Sampler: what happens every tick.

#include <linux/futex.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "src/pprof/sampler/own_threads.h"
#include "src/pprof/sampler/sampler.h"
#include "src/pprof/sampler/signal_install.h"
#include "src/pprof/sampler/timer.h"

namespace pprof::sampler {
namespace {

using handler::g_shared;
using handler::Ring;

// After so many drains that found nothing a tick is longer. A thread without a label, that only a
// scan finds, waits for it.
constexpr std::uint32_t kEmptyDrains = 10;
constexpr std::int64_t kIdleTickNs = 400000000;
// An empty ring stays with its thread for ten seconds, and the shorter the more rings are taken,
// down to nothing.
constexpr std::uint32_t kIdleRingMs = 10000;
constexpr std::uint32_t kManyRings = handler::kMaxRings / 4 * 3;
constexpr unsigned long kTimerSlackNs = 5000000;

void Count(const handler::SampleHeader& sample) noexcept {
  handler::SampleCounters& to = g_shared.sample_counters;
  to.samples.fetch_add(sample.weight, std::memory_order_relaxed);
  to.walk_ends[sample.walk_end].fetch_add(1, std::memory_order_relaxed);
  if (sample.has_name != 0 || sample.label_bytes > 0 || sample.labels != kNoTraceLabels) {
    to.samples_labelled.fetch_add(sample.weight, std::memory_order_relaxed);
  }
}

}  // namespace

void Sampler::CollectorMain() noexcept {
  pthread_setname_np(pthread_self(), "otel-profiling");
  // A tick may come a little late: the kernel can serve it together with other timers.
  prctl(PR_SET_TIMERSLACK, kTimerSlackNs, 0, 0, 0);
  const auto tid = static_cast<std::int32_t>(syscall(SYS_gettid));
  AddOwnThread(tid);
  collector_tid_.store(tid, std::memory_order_release);
  timers_.BeginScans();
  last_scan_ns_ = 0;
  for (;;) {
    SleepUntilTick();
    if (stop_collector_.load(std::memory_order_acquire)) break;
    Tick();
    SayProblems();
  }
  SayProblems();
  timers_.EndScans();
  collector_tid_.store(0, std::memory_order_release);
  RemoveOwnThread(tid);
}

void Sampler::SleepUntilTick() noexcept {
  const std::int64_t ns = sleep_ns_.load(std::memory_order_relaxed);
  const timespec timeout = {ns / 1000000000, ns % 1000000000};
  // Woken early by a handler whose ring is half full, or by the first sample after idle ticks.
  g_shared.idle.store(ns > tick_ns_, std::memory_order_relaxed);
  syscall(SYS_futex, &g_shared.wake, FUTEX_WAIT_PRIVATE, 0, &timeout, nullptr, 0);
  g_shared.idle.store(false, std::memory_order_relaxed);
  g_shared.wake.store(0, std::memory_order_release);
}

void Sampler::Tick() noexcept {
  const std::int64_t now = MonotonicNs();
  if (now - last_scan_ns_ >= tick_ns_) {  // a handler may wake this thread more often
    last_scan_ns_ = now;
    timers_.Scan();
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  if (windows_.empty()) return;
  // First the samples, then the modules: a sample belongs to what was loaded when it was taken.
  Drain();
  RefreshModules();
  GuardHandler();
}

void Sampler::RefreshModules() noexcept {
  if (modules_.Refresh()) NoteModules();
  // A handler that runs now may hold the table of before.
  if (modules_.has_retired() && NoHandlerRunning()) modules_.ReclaimRetired();
}

void Sampler::NoteModules() noexcept {
  const auto list = modules_.Current();
  for (Window* window : windows_) {
    try {
      window->modules[list->version] = list;
    } catch (...) {  // its addresses stay without names
    }
  }
}

void Sampler::Drain() noexcept {
  const std::uint64_t version = modules_.Current()->version;
  const std::uint32_t used = g_shared.rings.high_water();
  const std::int64_t now = MonotonicNs();
  const std::int64_t elapsed = now - static_cast<std::int64_t>(last_drain_ns_);
  const auto elapsed_ms = static_cast<std::uint32_t>(elapsed / 1000000);
  bool empty = true;
  std::uint32_t in_use = 0;
  for (std::uint32_t i = 0; i < used; ++i) {
    Ring& ring = *g_shared.rings.at(i);
    if (ring.owner.load(std::memory_order_acquire) == 0) continue;
    ++in_use;
    const bool drained = DrainRing(ring, version);
    empty = empty && !drained;
    ring.idle_ms = drained ? 0 : ring.idle_ms + elapsed_ms;
    RetireIdleRing(ring);
  }
  rings_in_use_ = in_use;
  sleep_ns_.store(NextSleep(now, empty), std::memory_order_relaxed);
  DeliverLossesAndOwed();
}

// Longer only while nothing is sampled and no new threads are expected: a ring that fills while the
// processors are taken has no time to spare.
std::int64_t Sampler::NextSleep(std::int64_t now_ns, bool empty) noexcept {
  empty_drains_ = empty ? empty_drains_ + 1 : 0;
  const bool idle = empty_drains_ > kEmptyDrains && !timers_.FindsThreads(now_ns);
  return idle ? kIdleTickNs : tick_ns_;
}

// Whether there was a sample.
bool Sampler::DrainRing(Ring& ring, std::uint64_t version) noexcept {
  bool drained = false;
  while (const handler::SampleHeader* sample = ring.Front()) {
    Count(*sample);
    Deliver(*sample, version);
    drained = true;
    ring.Pop();
  }
  std::uint64_t since_ns = 0;
  const std::uint64_t lost = ring.TakeLoss(&since_ns);
  if (lost > 0) DeliverSpecial(Special::kLostRingFull, lost, since_ns);
  return drained;
}

void Sampler::RetireIdleRing(Ring& ring) noexcept {
  handler::ThreadRecord& owner =
      g_shared.records.load(std::memory_order_acquire)[ring.owner.load() - 1];
  if (!ring.retiring) {
    const std::uint32_t left = kManyRings - std::min(kManyRings, rings_in_use_);
    if (ring.idle_ms <= kIdleRingMs * left / kManyRings) return;
    owner.ring.store(nullptr, std::memory_order_seq_cst);
    ring.retiring = true;
  }
  // Seen after the pointer was taken away: no handler holds the ring any more.
  if (owner.busy.load(std::memory_order_seq_cst) != 0 || ring.Front() != nullptr) return;
  std::uint64_t since_ns = 0;
  const std::uint64_t lost = ring.TakeLoss(&since_ns);
  if (lost > 0) DeliverSpecial(Special::kLostRingFull, lost, since_ns);
  g_shared.rings.Give(&ring);
}

void Sampler::Deliver(const handler::SampleHeader& sample, std::uint64_t version) noexcept {
  for (Window* window : windows_) {
    if (!window->Holds(sample.time_ns)) continue;
    if (!window->aggregate.Add(sample, version)) stats_.storage_full += sample.weight;
  }
}

void Sampler::DeliverSpecial(Special special, std::uint64_t weight,
                             std::uint64_t time_ns) noexcept {
  for (Window* window : windows_) {
    if (window->Holds(time_ns)) window->aggregate.AddSpecial(special, weight);
  }
}

void Sampler::DeliverLossesAndOwed() noexcept {
  if (g_shared.pending_lost.load(std::memory_order_relaxed) > 0) {
    const std::uint64_t no_ring = g_shared.pending_lost.exchange(0, std::memory_order_acq_rel);
    DeliverSpecial(Special::kLostNoRing, no_ring, g_shared.pending_lost_since_ns.load());
  }
  const std::uint64_t reentrant = g_shared.counters.lost_reentrant.load(std::memory_order_relaxed);
  if (reentrant > reentrant_seen_) {
    DeliverSpecial(Special::kLostReentrant, reentrant - reentrant_seen_, last_drain_ns_);
    reentrant_seen_ = reentrant;
  }
  try {
    timers_.TakeOwed(&owed_, &owed_to_operations_);
  } catch (...) {  // stays owed
  }
  for (const Owed& owed : owed_) {
    stats_.owed[static_cast<int>(owed.frame)] += owed.weight;
    DeliverSpecial(owed.frame, owed.weight, owed.time_ns);
  }
  owed_.clear();
  for (const OperationBooks::Sample& words : owed_to_operations_) {
    const auto& sample = *reinterpret_cast<const handler::SampleHeader*>(words.data());
    stats_.owed[static_cast<int>(Special::kExitCorrection)] += sample.weight;
    Deliver(sample, 0);
  }
  owed_to_operations_.clear();
  last_drain_ns_ = static_cast<std::uint64_t>(MonotonicNs());
}

// Somebody else took SIGPROF. Their handler now gets our signals, or the default action would end
// the process: take it back once, passing foreign signals on to them; if it happens again, give up.
void Sampler::GuardHandler() noexcept {
  if (handlers_lost_ >= 2 || SignalHandlerInPlace()) return;
  ++stats_.handler_replaced;
  if (++handlers_lost_ == 1 && InstallSignalHandler().ok()) return;
  handlers_lost_ = 2;
  timers_.TurnOff(Special::kHandlerTaken);
}

}  // namespace pprof::sampler
