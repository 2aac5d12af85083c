#include "src/pyroscope/pace.h"

#include <gtest/gtest.h>

namespace pyroscope::internal {
namespace {

using namespace std::chrono_literals;
using Seconds = std::chrono::duration<double>;

TEST(Backoff, FullJitterUnderADoublingBound) {
  const Backoff backoff{1s, 60s};
  Random random(1);
  for (int failures = 1; failures <= 100; ++failures) {
    const double bound = failures < 7 ? static_cast<double>(1 << (failures - 1)) : 60;
    double sum = 0;
    double largest = 0;
    for (int i = 0; i < 2000; ++i) {
      const double delay = Seconds(backoff.After(failures, &random)).count();
      ASSERT_GE(delay, 0);
      ASSERT_LE(delay, bound);
      sum += delay;
      largest = std::max(largest, delay);
    }
    EXPECT_NEAR(sum / 2000, bound / 2, bound / 20) << failures;
    EXPECT_GT(largest, 0.95 * bound);
  }
}

TEST(Pacer, BurstThenRate) {
  Pacer pacer(1000, 500);
  const TimePoint start = TimePoint() + 1h;
  TimePoint now = start;
  std::size_t sent = 0;
  while (now < start + 10s) {
    now = pacer.Earliest(100, now);
    pacer.Sent(100, now);
    sent += 100;
    if (sent <= 500) {
      EXPECT_EQ(now, start) << "the burst goes at once";
    }
  }
  EXPECT_NEAR(static_cast<double>(sent), 500 + 10 * 1000, 200);
}

TEST(Pacer, RestsFillTheBucketAndNoMore) {
  Pacer pacer(1000, 500);
  const TimePoint start = TimePoint() + 1h;
  pacer.Sent(500, start);
  EXPECT_EQ(pacer.Earliest(500, start), start + 500ms);
  EXPECT_EQ(pacer.Earliest(100, start), start + 100ms);
  const TimePoint later = start + 1h;
  pacer.Sent(500, later);
  EXPECT_EQ(pacer.Earliest(500, later), later + 500ms) << "an hour's rest is one burst";
}

TEST(Pacer, LargerThanTheBurstGoesWhenTheBucketIsFull) {
  Pacer pacer(1000, 500);
  const TimePoint start = TimePoint() + 1h;
  EXPECT_EQ(pacer.Earliest(2000, start), start);
  pacer.Sent(2000, start);
  EXPECT_EQ(pacer.Earliest(2000, start), start + 2s);
}

}  // namespace
}  // namespace pyroscope::internal
