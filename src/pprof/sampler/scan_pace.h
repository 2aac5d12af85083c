// When scans are due again. Their cost grows with the number of threads; in the long run they take
// a bounded share of one processor.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pprof::sampler {

// One thread at a time.
class ScanPace {
 public:
  // `ns_a_thread`: what a scan costs, for threads beyond those of the last one.
  explicit ScanPace(std::int64_t ns_a_thread) noexcept : ns_a_thread_(ns_a_thread) {}

  // Due `interval_ns` after the last one, but not before `rarity` times as long has gone by as the
  // next one is going to take.
  bool Due(std::int64_t now_ns, std::int64_t interval_ns, std::int64_t rarity,
           std::uint64_t threads) const noexcept {
    const auto more = static_cast<std::int64_t>(threads - std::min(threads, threads_));
    return now_ns - done_ns_ >= std::max(interval_ns, (cost_ns_ + more * ns_a_thread_) * rarity);
  }
  void Done(std::int64_t now_ns) noexcept { done_ns_ = now_ns; }
  void Measured(std::int64_t cost_ns, std::uint64_t threads) noexcept {
    cost_ns_ = std::max<std::int64_t>(cost_ns, 0);
    threads_ = threads;
  }

 private:
  const std::int64_t ns_a_thread_;
  std::int64_t done_ns_ = 0;
  std::int64_t cost_ns_ = 0;
  std::uint64_t threads_ = 0;
};

}  // namespace pprof::sampler
