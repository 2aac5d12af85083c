// Gives every thread of the process its timer: those that register and those that a scan of
// /proc/self/task finds. Keeps the books of CPU time that timers did not deliver.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "src/pprof/handler/thread_record.h"
#include "src/pprof/labels/thread_registry.h"
#include "src/pprof/sampler/cpu_books.h"
#include "src/pprof/sampler/operation_books.h"
#include "src/pprof/sampler/scan_pace.h"
#include "src/pprof/sampler/task_directory.h"

namespace pprof::sampler {

struct TimerStats {
  std::atomic<std::uint64_t> created{0}, refused{0}, reaped{0}, scanned{0}, signal_blocked{0},
      scans_failed{0};
};

// One a sampler. Every function takes the thread registry's lock itself, in short pieces; OnThread*
// are called with it. Not async-signal-safe.
class ThreadTimers final : public labels::ThreadObserver {
 public:
  // Arms all known threads and those of a first scan.
  void Start(std::int64_t period_ns, std::uint32_t session) noexcept;
  // Disarms all threads and forgets those that were only scanned. What their timers had not
  // delivered until now becomes due.
  void Stop() noexcept;
  // Stop, but Settle goes on counting what is missed, under `frame`, until the next Start.
  void TurnOff(Special frame) noexcept;

  // Before the first Scan, between and after them; collector only.
  void BeginScans() noexcept;
  // Looks for new threads when there are more than are known, and once a second. Once a second goes
  // through all threads as well, reaps those that ended and brings the books up to now. With very
  // many threads less often: looking may take 1/4000 of a processor, going through all 1/5000.
  void Scan() noexcept;
  void EndScans() noexcept { tasks_.Close(); }
  // In a fork child, which inherits the descriptor of the scans.
  void EndScansInChild() noexcept { tasks_.CloseInChild(); }
  // Whether a Scan of the last ten seconds found threads that had not registered. Any thread.
  bool FindsThreads(std::int64_t now_ns) const noexcept;

  // A thread that a scan found turned out to be the library's own.
  void Forget(std::int32_t tid) noexcept;

  // Brings the books up to now: reads the CPU clocks of threads without a timer or with SIGPROF
  // blocked, and compares the process's clock with all that is known of its threads.
  void Settle() noexcept;

  // What was measured in first scopes becomes due. Where a window begins or ends.
  void SettleOperations() noexcept;

  // What became due since the last call. REQUIRES: room in `owed` is the caller's matter; may throw
  // std::bad_alloc.
  void TakeOwed(std::vector<Owed>* owed, std::vector<OperationBooks::Sample>* of_operations);

  void OnThreadRegistered(handler::ThreadRecord& record) noexcept override;
  void OnFirstScope(handler::ThreadRecord& record,
                    const labels::ScopeCpu& measured) noexcept override;
  void OnThreadExit(handler::ThreadRecord& record) noexcept override;

  const TimerStats& stats() const noexcept { return stats_; }
  // Threads that have a timer now.
  std::uint32_t armed() const noexcept { return armed_.load(std::memory_order_relaxed); }
  // Of the last timer that was refused; of the last scan that failed.
  int last_error() const noexcept { return last_error_.load(std::memory_order_relaxed); }
  int scan_error() const noexcept { return scan_error_.load(std::memory_order_relaxed); }

 private:
  void Arm(handler::ThreadRecord& record, bool registering) noexcept;
  void Disarm(handler::ThreadRecord& record) noexcept;
  void Refuse(handler::ThreadRecord& record, int error) noexcept;
  std::int64_t Close(handler::ThreadRecord& record) noexcept;
  std::int64_t Undelivered(const handler::ThreadRecord& record, std::int64_t cpu_ns) const noexcept;
  void AccountRefused(handler::ThreadRecord& record) noexcept;
  void AccountBlocked(handler::ThreadRecord& record, std::int64_t cpu_ns) noexcept;
  void AccountUnseen() noexcept;
  std::int64_t SeenOfEnded(const handler::ThreadRecord& record) const noexcept;
  std::int64_t SumOfThreads() noexcept;
  std::int64_t NotOfKnownThreads() noexcept;
  struct ScanWork {
    std::uint32_t number = 0;    // of this scan
    std::int64_t found = 0;      // threads that had not registered
    std::int64_t arming_ns = 0;  // CPU time for threads that had no timer yet
    bool meets_earlier = false;  // a thread that an earlier scan had found
  };
  struct ThreadCount {
    std::uint64_t threads = 0;  // 0: it cannot be known (errno)
    std::int64_t unknown = 0;   // less our own and the registry's, of which some may have ended
  };
  ThreadCount CountThreads() noexcept;
  bool ScanAll(TaskDirectory& tasks, ScanWork* work) noexcept;
  bool ScanNewest(std::uint64_t threads, std::int64_t more, ScanWork* work) noexcept;
  ScanWork BeginScan() noexcept;
  void ScanFailed(int error) noexcept;
  void VisitThread(std::int32_t tid, ScanWork* work) noexcept;
  void ArmFound(handler::ThreadRecord& record, ScanWork* work) noexcept;
  void Reap(const ScanWork& work) noexcept;
  void ReapRecord(handler::ThreadRecord& record) noexcept;
  std::int64_t RandomPhase() noexcept;

  std::int64_t period_ns_ = 0;
  std::uint32_t session_ = 0;
  bool first_scan_done_ = false;
  std::uint64_t random_ = 0;
  // Process clock = live threads + ended threads + what was never seen. The first two are known.
  std::int64_t unseen_before_ns_ = 0;     // when sampling started
  std::int64_t ended_ns_ = 0;             // CPU time of ended threads as far as it was seen
  std::int64_t unseen_accounted_ns_ = 0;  // of the rest: what went into the books
  std::int64_t off_since_ns_ = -1;        // process's clock up to which a TurnOff is accounted for
  Special off_frame_ = Special::kHandlerTaken;  // of that TurnOff
  CpuBooks books_;
  OperationBooks operations_;
  ExitTail exit_tail_;
  std::uint32_t scans_ = 0;
  // Used by the collector alone.
  TaskDirectory tasks_;
  std::int64_t unknown_ = 0;  // ThreadCount::unknown after the last scan
  // Measured with 10,000 threads.
  ScanPace newest_pace_{200};
  ScanPace all_pace_{2000};
  // When a scan last found threads that had not registered. Any thread reads it.
  std::atomic<std::int64_t> found_ns_{0};
  std::atomic<std::uint32_t> armed_{0};
  std::atomic<int> last_error_{0};
  std::atomic<int> scan_error_{0};
  TimerStats stats_;
};

}  // namespace pprof::sampler
