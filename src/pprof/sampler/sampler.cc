#include "src/pprof/sampler/sampler.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <system_error>
#include <utility>

#include "src/pprof/base/log.h"
#include "src/pprof/base/status.h"
#include "src/pprof/elf/vdso.h"
#include "src/pprof/labels/thread.h"
#include "src/pprof/sampler/copies.h"
#include "src/pprof/sampler/own_threads.h"
#include "src/pprof/sampler/signal_install.h"
#include "src/pprof/sampler/timer.h"

namespace pprof::sampler {
namespace {

using handler::g_shared;

std::atomic<Sampler*> g_sampler{nullptr};
std::mutex g_creation;
std::atomic<std::uint32_t> g_fork_generation{0};
Sampler* g_left_behind = nullptr;  // in a fork child: the parents' objects

constexpr std::size_t kRingRegionBytes = std::size_t{handler::kMaxRings} * handler::Ring::kBytes;

// Address space only; pages come with use. Kept for the process's life, because a late handler may
// still look at a ring; emptied whenever sampling ends.
bool MapRings() noexcept {
  if (g_shared.rings.count() == 0) {
    void* region = mmap(nullptr, kRingRegionBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED) return false;
    g_shared.rings.Init(region, handler::kMaxRings);
  }
  return true;
}

void FindClock() noexcept {
  const void* clock = elf::FindVdsoFunction("__vdso_clock_gettime");
  if (clock == nullptr) clock = elf::FindVdsoFunction("__kernel_clock_gettime");  // aarch64
  using Pointer = handler::VdsoClock*;
  g_shared.clock.store(reinterpret_cast<Pointer>(reinterpret_cast<std::uintptr_t>(clock)),
                       std::memory_order_relaxed);
}

// REQUIRES: no handler uses a ring.
void EmptyRings() noexcept {
  labels::ThreadRegistry& registry = labels::ThreadRegistry::Get();
  handler::ThreadRecord* records = g_shared.records.load(std::memory_order_acquire);
  for (std::uint32_t i = 0; i < registry.high_water(); ++i) {
    records[i].ring.store(nullptr, std::memory_order_seq_cst);
  }
  void* region = g_shared.rings.at(0);
  madvise(region, kRingRegionBytes, MADV_DONTNEED);
  g_shared.rings.Init(region, handler::kMaxRings);
  g_shared.pending_lost.store(0, std::memory_order_relaxed);
}

void ResetAfterForkInChild() noexcept {
  new (&g_creation) std::mutex();  // its holder may not exist here
  ResetOwnThreadsInChild();
  ReleaseProcess();
  // The old object is abandoned as it is: its locks may be held by threads that do not exist here.
  // It stays reachable, so that leak checkers of the host do not speak of it.
  Sampler* const old = g_sampler.exchange(nullptr, std::memory_order_acq_rel);
  if (old != nullptr) {
    old->LeaveBehind(g_left_behind);
    g_left_behind = old;
  }
  g_fork_generation.fetch_add(1, std::memory_order_acq_rel);
  if (g_shared.rings.count() != 0) EmptyRings();
}

}  // namespace

Sampler::Sampler() : modules_(*new unwind::ModuleRegistry()) {}

Sampler& Sampler::Get() {
  static std::once_flag once;
  std::call_once(once, [] {
    labels::InstallThreadHooks();  // first: in a child, threads are reset before rings
    pthread_atfork(nullptr, nullptr, ResetAfterForkInChild);
  });
  Sampler* sampler = g_sampler.load(std::memory_order_acquire);
  if (sampler != nullptr) return *sampler;
  const std::lock_guard<std::mutex> lock(g_creation);
  sampler = g_sampler.load(std::memory_order_acquire);
  if (sampler == nullptr) {
    sampler = new Sampler();
    g_sampler.store(sampler, std::memory_order_release);
  }
  return *sampler;
}

std::uint32_t Sampler::ForkGeneration() noexcept {
  return g_fork_generation.load(std::memory_order_acquire);
}

Status Sampler::Start(Window* window, int rate) noexcept {
  const std::lock_guard<std::mutex> control(control_mutex_);
  const bool first = windows_.empty();
  if (first) {
    Status started = ClaimProcess();
    if (started.ok()) {
      started = StartSampling(rate);
      if (!started.ok()) ReleaseProcess();
    }
    if (!started.ok()) return started;
  } else {
    timers_.SettleOperations();  // what is due until now is not the new window's
  }
  try {
    const std::lock_guard<std::mutex> lock(mutex_);
    Open(window);
    window->start_ns = static_cast<std::uint64_t>(MonotonicNs());
    NoteModules();
  } catch (...) {
    if (first) StopSampling();
    return base::MakeStatus(Status::Code::kUnavailable, "no memory to start a profile");
  }
  return {};
}

// mutex_ held. All but the moment.
void Sampler::Open(Window* window) {
  windows_.push_back(window);
  window->period_ns = period_ns_;
  window->wall_start_ns = RealtimeNs();
  window->process_cpu_start_ns = ProcessCpuNs();
  window->library_cpu_start_ns = static_cast<std::uint64_t>(OwnThreadsCpuNs());
}

// mutex_ held; end_ns is set.
void Sampler::Close(Window* window) noexcept {
  window->process_cpu_ns = ProcessCpuNs() - window->process_cpu_start_ns;
  window->library_cpu_ns =
      static_cast<std::uint64_t>(OwnThreadsCpuNs()) - window->library_cpu_start_ns;
}

Status Sampler::Cut(Window* window, Window* next) noexcept {
  const std::lock_guard<std::mutex> control(control_mutex_);
  timers_.Settle();
  timers_.SettleOperations();
  const std::lock_guard<std::mutex> lock(mutex_);
  try {
    Open(next);
  } catch (...) {
    return base::MakeStatus(Status::Code::kUnavailable, "no memory to start the next window");
  }
  window->end_ns = next->start_ns = static_cast<std::uint64_t>(MonotonicNs());
  Close(window);
  NoteModules();
  WaitForHandlers();
  Drain();
  windows_.erase(std::find(windows_.begin(), windows_.end(), window));
  return {};
}

Status Sampler::StartSampling(int rate) noexcept {
  period_ns_ = 1000000000 / rate;
  // About ten signals of a busy thread between two ticks, whatever the rate.
  tick_ns_ = std::clamp<std::int64_t>(10 * period_ns_, 10000000, 100000000);
  sleep_ns_.store(tick_ns_, std::memory_order_relaxed);
  last_drain_ns_ = static_cast<std::uint64_t>(MonotonicNs());
  if (!MapRings()) {
    return base::MakeStatus(Status::Code::kUnavailable,
                            "no address space for sample buffers: ", errno,
                            "; they need 10 MiB, raise RLIMIT_AS (ulimit -v)");
  }
  modules_.Refresh(true);
  FindClock();
  g_shared.magic.store(ChooseMagic(), std::memory_order_release);
  Status installed = InstallSignalHandler();
  if (!installed.ok()) return installed;
  handlers_lost_ = 0;
  paused_ = false;
  reentrant_seen_ = g_shared.counters.lost_reentrant.load(std::memory_order_relaxed);
  Status collecting = StartCollector();
  if (!collecting.ok()) return collecting;
  g_shared.enabled.store(true, std::memory_order_seq_cst);
  timers_.Start(period_ns_, ++session_);
  if (g_shared.records.load(std::memory_order_acquire) == nullptr) {
    StopSampling();
    return base::MakeStatus(Status::Code::kUnavailable,
                            "no address space for what is known of threads; it needs 2 MiB, raise "
                            "RLIMIT_AS (ulimit -v)");
  }
  if (timers_.armed() > 0 || timers_.last_error() == 0) return {};
  StopSampling();
  return base::MakeStatus(
      Status::Code::kUnavailable, "no thread can be sampled: timer_create: ", timers_.last_error(),
      "; raise RLIMIT_SIGPENDING (ulimit -i) or run where CPU-time timers work");
}

Status Sampler::StartCollector() noexcept {
  stop_collector_.store(false, std::memory_order_relaxed);
  collector_tid_.store(0, std::memory_order_relaxed);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all,
                  &before);  // inherited: the host's signals go to the host's threads
  Status status;
  try {
    collector_ = std::thread([this] { CollectorMain(); });
  } catch (const std::system_error& error) {
    status = base::MakeStatus(Status::Code::kUnavailable,
                              "the collector thread cannot be started: pthread_create: ",
                              error.code().value(), "; see ulimit -u and the cgroup's pids.max");
  } catch (...) {
    status = base::MakeStatus(Status::Code::kUnavailable, "no memory for the collector thread");
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  while (status.ok() && collector_tid_.load(std::memory_order_acquire) == 0) sched_yield();
  return status;
}

void Sampler::Stop(Window* window) noexcept {
  const std::lock_guard<std::mutex> control(control_mutex_);
  const bool last = windows_.size() == 1;
  timers_.Settle();
  timers_.SettleOperations();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (last) timers_.Stop();  // first: what it finds undelivered belongs to the window
    window->end_ns = static_cast<std::uint64_t>(MonotonicNs());
    Close(window);
    if (last) g_shared.enabled.store(false, std::memory_order_seq_cst);
    WaitForHandlers();
    Drain();
    windows_.erase(std::find(windows_.begin(), windows_.end(), window));
  }
  if (last) StopSampling();
}

void Sampler::StopSampling() noexcept {
  timers_.Stop();
  g_shared.enabled.store(false, std::memory_order_seq_cst);
  StopCollector();
  WaitForHandlers();
  if (NoHandlerRunning()) EmptyRings();
  ReleaseProcess();
}

void Sampler::StopCollector() noexcept {
  if (!collector_.joinable()) return;
  stop_collector_.store(true, std::memory_order_release);
  g_shared.wake.store(1, std::memory_order_release);
  syscall(SYS_futex, &g_shared.wake, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  collector_.join();
}

void Sampler::PauseForExec() noexcept {
  Sampler* const sampler = g_sampler.load(std::memory_order_acquire);
  if (sampler != nullptr) {
    const std::lock_guard<std::mutex> control(sampler->control_mutex_);
    const std::lock_guard<std::mutex> lock(sampler->mutex_);
    if (!sampler->windows_.empty() && !sampler->paused_ && sampler->handlers_lost_ < 2) {
      sampler->paused_ = true;
      sampler->timers_.TurnOff(Special::kPausedForExec);
    }
  }
  DropPendingSignals();  // also of timers that were deleted before
}

void Sampler::ResumeAfterExec() noexcept {
  Sampler* const sampler = g_sampler.load(std::memory_order_acquire);
  if (sampler == nullptr) return;
  const std::lock_guard<std::mutex> control(sampler->control_mutex_);
  const std::lock_guard<std::mutex> lock(sampler->mutex_);
  if (!std::exchange(sampler->paused_, false)) return;
  if (sampler->windows_.empty() || sampler->handlers_lost_ >= 2) return;
  sampler->timers_.Settle();
  sampler->timers_.Start(sampler->period_ns_, ++sampler->session_);
}

SamplerStats Sampler::ReadStats() noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  SamplerStats stats = stats_;
  stats.library_cpu_ns = static_cast<std::uint64_t>(OwnThreadsCpuNs());
  stats.ring_bytes = std::uint64_t{g_shared.rings.high_water()} * handler::Ring::kBytes;
  stats.modules = modules_.stats();
  return stats;
}

void Sampler::AddThisThread() noexcept {
  const auto tid = static_cast<std::int32_t>(syscall(SYS_gettid));
  if (AddOwnThread(tid)) timers_.Forget(tid);
}

void Sampler::RemoveThisThread() noexcept {
  RemoveOwnThread(static_cast<std::int32_t>(syscall(SYS_gettid)));
}

bool Sampler::NoHandlerRunning() noexcept {
  // Pairs with the sequentially consistent store of `busy` in the handler.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const handler::ThreadRecord* records = g_shared.records.load(std::memory_order_acquire);
  const std::uint32_t used = labels::ThreadRegistry::Get().high_water();
  for (std::uint32_t i = 0; i < used; ++i) {
    if (records[i].busy.load(std::memory_order_seq_cst) != 0) return false;
  }
  return true;
}

// A handler takes microseconds, but its thread may be waiting for a processor: bounded, at worst a
// sample is missed.
void Sampler::WaitForHandlers() noexcept {
  const std::int64_t deadline = MonotonicNs() + 200000000;
  while (!NoHandlerRunning() && MonotonicNs() < deadline) {
    const timespec pause = {0, 100000};
    nanosleep(&pause, nullptr);
  }
}

}  // namespace pprof::sampler
