// When scans are due again. Their cost grows with the number of threads; in the long run they take
// a bounded share of one processor.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pprof::sampler {

// One thread at a time.
class ScanPace {
 public:
  // `ns_a_thread`: what a scan costs, as long as none was measured.
  explicit ScanPace(std::int64_t ns_a_thread) noexcept : ns_a_thread_(ns_a_thread) {}

  // Due `interval_ns` after the last one, but not before `rarity` times as long has gone by as the
  // next one is going to take.
  bool Due(std::int64_t now_ns, std::int64_t interval_ns, std::int64_t rarity,
           std::uint64_t threads) const noexcept {
    const std::int64_t cost_ns = ns_a_thread_ * static_cast<std::int64_t>(threads);
    return now_ns - done_ns_ >= std::max(interval_ns, cost_ns * rarity);
  }
  void Done(std::int64_t now_ns) noexcept { done_ns_ = now_ns; }
  void Measured(std::int64_t cost_ns, std::uint64_t threads) noexcept {
    ns_a_thread_ = std::max<std::int64_t>(cost_ns, 0) /
                   static_cast<std::int64_t>(std::max<std::uint64_t>(threads, 1));
  }

 private:
  std::int64_t done_ns_ = 0;
  std::int64_t ns_a_thread_;
};

}  // namespace pprof::sampler
