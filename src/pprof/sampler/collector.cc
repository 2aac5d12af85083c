// The collector's half of Sampler: what happens every tick.

#include <linux/futex.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "src/pprof/sampler/own_threads.h"
#include "src/pprof/sampler/sampler.h"
#include "src/pprof/sampler/signal_install.h"
#include "src/pprof/sampler/timer.h"

namespace pprof::sampler {
namespace {

using handler::g_shared;
using handler::Ring;

// Ticks without a sample after which a thread's ring goes back to the pool, and after which the
// collector slows down.
constexpr std::uint32_t kIdleRounds = 10;
constexpr std::int64_t kIdleTickNs = 400000000;
constexpr std::uint32_t kTicksPerFullScan = 10;
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
  for (std::uint32_t tick = 1;; ++tick) {
    SleepUntilTick();
    if (stop_collector_.load(std::memory_order_acquire)) break;
    Tick(tick % kTicksPerFullScan == 0);
    SayProblems();
  }
  SayProblems();
  timers_.EndScans();
  collector_tid_.store(0, std::memory_order_release);
  RemoveOwnThread(tid);
}

void Sampler::SleepUntilTick() noexcept {
  const std::int64_t ns =
      idle_ticks_.load(std::memory_order_relaxed) > kIdleRounds ? kIdleTickNs : tick_ns_;
  const timespec timeout = {ns / 1000000000, ns % 1000000000};
  // Woken early by a handler whose ring is half full or whose thread had none.
  syscall(SYS_futex, &g_shared.wake, FUTEX_WAIT_PRIVATE, 0, &timeout, nullptr, 0);
  g_shared.wake.store(0, std::memory_order_release);
}

void Sampler::Tick(bool full_scan) noexcept {
  timers_.Scan(full_scan);
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
  bool active = false;
  for (std::uint32_t i = 0; i < used; ++i) {
    Ring& ring = *g_shared.rings.at(i);
    if (ring.owner.load(std::memory_order_acquire) == 0) continue;
    active = active || ring.Front() != nullptr;
    DrainRing(ring, version);
    RetireIdleRing(ring);
  }
  idle_ticks_.store(active ? 0 : idle_ticks_.load(std::memory_order_relaxed) + 1,
                    std::memory_order_relaxed);
  DeliverLossesAndOwed();
}

void Sampler::DrainRing(Ring& ring, std::uint64_t version) noexcept {
  ring.idle_rounds = ring.Front() == nullptr ? ring.idle_rounds + 1 : 0;
  while (const handler::SampleHeader* sample = ring.Front()) {
    Count(*sample);
    Deliver(*sample, version);
    ring.Pop();
  }
  std::uint64_t since_ns = 0;
  const std::uint64_t lost = ring.TakeLoss(&since_ns);
  if (lost > 0) DeliverSpecial(Special::kLostRingFull, lost, since_ns);
}

void Sampler::RetireIdleRing(Ring& ring) noexcept {
  handler::ThreadRecord& owner =
      g_shared.records.load(std::memory_order_acquire)[ring.owner.load() - 1];
  if (!ring.retiring) {
    if (ring.idle_rounds < kIdleRounds) return;
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
