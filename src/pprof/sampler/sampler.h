// Runs the sampling: starts and stops timers with the first and the last profile, drains the rings
// into the windows of all running profiles, keeps the unwind tables current. One collector thread,
// only while a profile runs.
#pragma once

#include <pprof/status.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "src/pprof/sampler/thread_timers.h"
#include "src/pprof/sampler/window.h"
#include "src/pprof/unwind/module_registry.h"

namespace pprof::sampler {

struct SamplerStats {
  std::uint64_t storage_full = 0;
  std::uint64_t owed[static_cast<int>(Special::kCount)] = {};  // by frame: what no timer delivered
  std::uint64_t handler_replaced = 0;
  std::uint64_t library_cpu_ns = 0;
  std::uint64_t ring_bytes = 0;
  unwind::RegistryStats modules;
};

// Leaked; a fork child gets a new one. Any thread. Not async-signal-safe. Nothing throws.
class Sampler {
 public:
  static Sampler& Get();  // may throw std::bad_alloc
  // Changes with every fork: a window belongs to the process that opened it.
  static std::uint32_t ForkGeneration() noexcept;

  // In a fork child: this object is not used any more, `before` is the one that was left behind
  // earlier.
  void LeaveBehind(Sampler* before) noexcept {
    timers_.EndScansInChild();
    left_behind_before_ = before;
  }

  // The calling thread works for the library until RemoveThisThread. REQUIRES: it blocks all
  // signals.
  void AddThisThread() noexcept;
  static void RemoveThisThread() noexcept;

  // Opens the window. The first one fixes the rate; `rate` is ignored while sampling runs.
  Status Start(Window* window, int rate) noexcept;
  // Closes `window` and opens `next` at the same instant: a sample is in exactly one of them. On
  // failure `window` goes on. REQUIRES: window was started here, next is new.
  Status Cut(Window* window, Window* next) noexcept;
  // Closes the window: afterwards it holds exactly the samples taken between Start and now.
  // REQUIRES: started here.
  void Stop(Window* window) noexcept;

  // No timer and no pending signal of ours from here on, until Resume; windows stay open. Of the
  // running sampler, if there is one.
  static void PauseForExec() noexcept;
  static void ResumeAfterExec() noexcept;

  SamplerStats ReadStats() noexcept;
  const TimerStats& timer_stats() const noexcept { return timers_.stats(); }

 private:
  Sampler();
  void Open(Window* window);
  void Close(Window* window) noexcept;
  Status StartSampling(int rate) noexcept;
  Status StartCollector() noexcept;
  void StopSampling() noexcept;
  void StopCollector() noexcept;
  void CollectorMain() noexcept;
  void SleepUntilTick() noexcept;
  void Tick() noexcept;
  void SayProblems() noexcept;  // problems.cc

  // mutex_ held.
  void Drain() noexcept;
  bool DrainRing(handler::Ring& ring, std::uint64_t version) noexcept;
  void RetireIdleRing(handler::Ring& ring) noexcept;
  std::int64_t NextSleep(std::int64_t now_ns, bool empty) noexcept;
  void Deliver(const handler::SampleHeader& sample, std::uint64_t version) noexcept;
  void DeliverSpecial(Special special, std::uint64_t weight, std::uint64_t time_ns) noexcept;
  void DeliverLossesAndOwed() noexcept;
  void NoteModules() noexcept;
  void RefreshModules() noexcept;
  bool NoHandlerRunning() noexcept;
  void WaitForHandlers() noexcept;
  void GuardHandler() noexcept;

  std::mutex control_mutex_;  // held over all of Start and Stop; taken before mutex_
  std::mutex mutex_;          // windows_ and draining
  std::vector<Window*> windows_;
  std::vector<Owed> owed_;
  std::vector<OperationBooks::Sample> owed_to_operations_;
  unwind::ModuleRegistry& modules_;
  ThreadTimers timers_;
  std::thread collector_;
  std::atomic<bool> stop_collector_{false};
  std::atomic<std::int32_t> collector_tid_{0};
  std::int64_t tick_ns_ = 0;  // while something is sampled
  std::atomic<std::int64_t> sleep_ns_{0};
  std::int64_t last_scan_ns_ = 0;  // collector only
  std::int64_t period_ns_ = 0;
  std::uint32_t session_ = 0;
  std::uint32_t rings_in_use_ = 0;  // at the last drain
  std::uint32_t empty_drains_ = 0;
  std::uint64_t reentrant_seen_ = 0;
  std::uint64_t last_drain_ns_ = 0;
  bool paused_ = false;    // for exec
  int handlers_lost_ = 0;  // times that SIGPROF was taken from us in this session
  SamplerStats stats_;
  Sampler* left_behind_before_ = nullptr;
};

}  // namespace pprof::sampler
