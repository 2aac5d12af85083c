// When work is due again whose cost grows with the host, so that it takes a bounded share of one
// processor.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pprof::sampler {

// One thread at a time.
class ScanPace {
 public:
  // Due `interval_ns` after the last time, but not before the rest has taken `rarity` times as long
  // as that took.
  bool Due(std::int64_t now_ns, std::int64_t interval_ns, std::int64_t rarity) const noexcept {
    return now_ns - done_ns_ >= std::max(interval_ns, cost_ns_ * rarity);
  }
  void Done(std::int64_t now_ns, std::int64_t cost_ns) noexcept {
    done_ns_ = now_ns;
    cost_ns_ = std::max<std::int64_t>(cost_ns, 0);
  }

  // Done at no cost, by other work.
  void DoneBesides(std::int64_t now_ns) noexcept { done_ns_ = now_ns; }

 private:
  std::int64_t done_ns_ = 0;
  std::int64_t cost_ns_ = 0;
};

}  // namespace pprof::sampler
