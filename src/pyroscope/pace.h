// When to send: delays after failures, and a rate that leaves room for others.
#pragma once

#include <cstddef>
#include <optional>
#include <random>

#include "src/pyroscope/clock.h"

namespace pyroscope::internal {

using Random = std::mt19937_64;

// Exponential backoff with full jitter: uniform in [0, min(max, first * 2^(failures - 1))]. Without
// jitter all clients of a server that comes back would come at the same instant.
struct Backoff {
  Duration first = std::chrono::seconds(1);
  Duration max = std::chrono::seconds(60);

  // REQUIRES: failures >= 1.
  Duration After(int failures, Random* random) const;
};

// A token bucket: at most `bytes_per_second` in the long run, `burst_bytes` at once.
class Pacer {
 public:
  Pacer(double bytes_per_second, std::size_t burst_bytes)
      : bytes_per_second_(bytes_per_second), burst_(Time(static_cast<double>(burst_bytes))) {}

  // The earliest instant at which `bytes` may be sent; what is larger than the burst: when the
  // bucket is full.
  TimePoint Earliest(std::size_t bytes, TimePoint now) const;
  void Sent(std::size_t bytes, TimePoint now);

 private:
  Duration Time(double bytes) const {
    return std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(bytes / bytes_per_second_));
  }

  double bytes_per_second_;
  Duration burst_;       // time to fill the empty bucket
  TimePoint full_at_{};  // when the bucket is full again
};

}  // namespace pyroscope::internal
