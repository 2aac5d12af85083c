#include "src/pyroscope/pace.h"

#include <algorithm>
#include <cmath>

namespace pyroscope::internal {

Duration Backoff::After(int failures, Random* random) const {
  constexpr int kMaxDoublings = 30;  // far beyond any `max`, without overflow
  const double seconds = std::chrono::duration<double>(first).count() *
                         std::exp2(std::min(failures - 1, kMaxDoublings));
  const double bound = std::min(seconds, std::chrono::duration<double>(max).count());
  const double delay = std::uniform_real_distribution<double>(0, bound)(*random);
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(delay));
}

TimePoint Pacer::Earliest(std::size_t bytes, TimePoint now) const {
  const Duration cost = std::min(Time(static_cast<double>(bytes)), burst_);
  return std::max(now, full_at_ + cost - burst_);
}

void Pacer::Sent(std::size_t bytes, TimePoint now) {
  full_at_ = std::max(full_at_, now) + Time(static_cast<double>(bytes));
}

}  // namespace pyroscope::internal
