// The books of CPU time that no timer delivered: turns nanoseconds into samples without a stack.
// Used by ThreadTimers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/pprof/sampler/aggregate.h"

namespace pprof::sampler {

// Weight that is owed to the profile beside what timers deliver.
struct Owed {
  std::uint64_t time_ns;
  Special frame;
  std::uint64_t weight;
};

// One balance a frame. Not thread-safe. Not async-signal-safe.
class CpuBooks {
 public:
  void Reset(std::int64_t period_ns) noexcept;
  // Adds to the balance of `frame`, with its sign; each period in it becomes one sample. One
  // balance for all threads: independent ones would leave 3.5 % at 10,000 threads of 1 ms.
  void Add(Special frame, std::int64_t ns) noexcept;
  // Appends what became due since the last call. May throw std::bad_alloc, then it stays due.
  void TakeOwed(std::vector<Owed>* owed);

 private:
  static constexpr std::size_t kFrames = static_cast<std::size_t>(Special::kCount);

  std::int64_t& Balance(Special frame) noexcept {
    return balance_ns_[static_cast<std::size_t>(frame)];
  }
  void Owe(Special frame, std::int64_t weight) noexcept;

  std::int64_t period_ns_ = 1;
  std::int64_t balance_ns_[kFrames] = {};
  std::vector<Owed> owed_;
  Owed overflow_[kFrames] = {};  // what there was no memory for
};

// What a thread still costs after its exit hook has read its clock: the rest of its end, nearly all
// of it in the kernel (unmapping, waking who joins it). No clock of its own tells: it can only be
// estimated from the process's clock, which also holds the CPU time of threads that nobody saw. So
// the estimate is the lower quartile over the last intervals, and small whatever they were: what is
// hidden in it of unseen threads is at most kMostNs for each registered one that ended.
class ExitTail {
 public:
  // Measured: 3.4 us alone, 6 to 10 us when several end at once, up to 16 us on a loaded machine.
  static constexpr std::int64_t kMostNs = 20000;

  void Reset() noexcept { *this = ExitTail(); }
  void ThreadEnded() noexcept { ++exits_; }
  // The present interval has an error of its own and does not teach.
  void Disturbed() noexcept { disturbed_ = true; }
  // Of `fresh_ns` > 0, CPU time of the process since the last call beyond all that was read of its
  // threads: what the ends of threads since then took.
  std::int64_t Share(std::int64_t fresh_ns) noexcept;
  std::int64_t per_exit_ns() const noexcept;

 private:
  static constexpr int kIntervals = 16;
  static constexpr std::int64_t kEnoughExits = 200;  // the clocks differ by microseconds

  void Learn(std::int64_t per_exit_ns) noexcept;

  std::int64_t exits_ = 0;  // since the last Share
  std::int64_t interval_exits_ = 0;
  std::int64_t interval_ns_ = 0;
  bool disturbed_ = false;
  std::int64_t learned_ns_[kIntervals] = {};  // an exit, a ring
  int learned_ = 0;                           // intervals ever
};

}  // namespace pprof::sampler
