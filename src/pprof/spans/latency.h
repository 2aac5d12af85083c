// Latencies of one operation, counted in buckets whose width is a sixteenth of their power of two:
// quantiles are within 6.25 %.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace pprof::spans {

// One thread at a time.
class LatencyHistogram {
 public:
  void Add(std::int64_t ns) noexcept {
    const std::int64_t value = std::max<std::int64_t>(0, ns);
    std::uint32_t& bucket = counts_[BucketOf(static_cast<std::uint64_t>(value))];
    if (bucket != UINT32_MAX) ++bucket;
    ++total_;
    max_ = std::max(max_, value);
  }
  std::uint64_t total() const noexcept { return total_; }
  std::int64_t max() const noexcept { return max_; }

  // The least latency that `fraction` (0..1) of all spans do not exceed, at the top of its bucket.
  // 0: no spans.
  std::int64_t Quantile(double fraction) const noexcept {
    const auto wanted =
        static_cast<std::uint64_t>(fraction * static_cast<double>(total_) + 0.999999);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i + 1 < kBuckets; ++i) {  // the last one has no top
      seen += counts_[i];
      if (seen != 0 && seen >= wanted) return std::min(Top(i), max_);
    }
    return max_;
  }

 private:
  static constexpr int kBits = 4;             // 16 buckets a power of two
  static constexpr std::size_t kPowers = 44;  // 2^47 ns: 39 hours
  static constexpr std::size_t kBuckets = kPowers << kBits;

  static std::size_t BucketOf(std::uint64_t value) noexcept {
    if (value < (1u << kBits)) return static_cast<std::size_t>(value);
    const int shift = 63 - __builtin_clzll(value) - kBits;
    const auto bucket = (static_cast<std::size_t>(shift + 1) << kBits) +
                        static_cast<std::size_t>((value >> shift) - (1u << kBits));
    return std::min(bucket, kBuckets - 1);
  }
  static std::int64_t Top(std::size_t bucket) noexcept {
    if (bucket < (1u << kBits)) return static_cast<std::int64_t>(bucket);
    const std::size_t shift = (bucket >> kBits) - 1;
    const std::size_t place = (bucket & ((1u << kBits) - 1)) + (1u << kBits);
    return static_cast<std::int64_t>(((place + 1) << shift) - 1);
  }

  std::uint32_t counts_[kBuckets] = {};
  std::uint64_t total_ = 0;
  std::int64_t max_ = 0;
};

}  // namespace pprof::spans
