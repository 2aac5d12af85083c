#include "src/pyroscope/profile_queue.h"

#include <gtest/gtest.h>

namespace pyroscope::internal {
namespace {

constexpr std::size_t kOverhead = sizeof(QueuedProfile);

QueuedProfile Make(std::size_t bytes, std::uint64_t window) {
  QueuedProfile profile;
  profile.request.assign(bytes, 'x');
  profile.request.shrink_to_fit();
  profile.window = window;
  return profile;
}

TimePoint At(int seconds) {
  return TimePoint() + std::chrono::hours(1) + std::chrono::seconds(seconds);
}

TEST(ProfileQueue, OldestFirst) {
  ProfileQueue queue(100000);
  queue.Add(Make(100, 1));
  queue.Add(Make(100, 2));
  EXPECT_EQ(queue.size(), 2U);
  const auto first = queue.Take(At(0));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->window, 1U);
  EXPECT_EQ(queue.size(), 2U) << "one is being sent";
  queue.Settle(*first);
  EXPECT_EQ(queue.size(), 1U);
  EXPECT_EQ(queue.Take(At(0))->window, 2U);
}

TEST(ProfileQueue, FullDropsTheOldest) {
  ProfileQueue queue(3 * (1000 + kOverhead));
  for (std::uint64_t window = 1; window <= 3; ++window) {
    EXPECT_TRUE(queue.Add(Make(1000, window)).empty());
  }
  const auto dropped = queue.Add(Make(1500, 4));
  ASSERT_EQ(dropped.size(), 2U);
  EXPECT_EQ(dropped[0].window, 1U);
  EXPECT_EQ(dropped[1].window, 2U);
  EXPECT_LE(queue.bytes(), 3 * (1000 + kOverhead));
  EXPECT_EQ(queue.Take(At(0))->window, 3U);
}

TEST(ProfileQueue, WhatIsBeingSentIsNotDropped) {
  ProfileQueue queue(2 * (1000 + kOverhead));
  queue.Add(Make(1000, 1));
  auto sending = queue.Take(At(0));
  queue.Add(Make(1000, 2));
  auto dropped = queue.Add(Make(1000, 3));
  ASSERT_EQ(dropped.size(), 1U);
  EXPECT_EQ(dropped[0].window, 2U);
  dropped = queue.Add(Make(2000, 4));
  ASSERT_EQ(dropped.size(), 1U) << "there is no room for it";
  EXPECT_EQ(dropped[0].window, 4U);
  queue.PutBack(std::move(*sending));
  EXPECT_EQ(queue.Take(At(0))->window, 1U) << "back to its place by age";
}

TEST(ProfileQueue, BytesComeBack) {
  ProfileQueue queue(100000);
  queue.Add(Make(1000, 1));
  queue.Add(Make(1000, 2));
  auto sending = queue.Take(At(0));
  EXPECT_EQ(queue.bytes(), 2 * (1000 + kOverhead));
  queue.PutBack(std::move(*sending));
  sending = queue.Take(At(0));
  queue.Settle(*sending);
  EXPECT_EQ(queue.bytes(), 1000 + kOverhead);
  EXPECT_EQ(queue.Clear().size(), 1U);
  EXPECT_EQ(queue.bytes(), 0U);
  EXPECT_TRUE(queue.empty());
}

TEST(ProfileQueue, WhatFailedWaitsBehindTheOthers) {
  ProfileQueue queue(100000);
  queue.Add(Make(10, 1));
  queue.Add(Make(10, 2));
  auto poison = queue.Take(At(0));
  poison->tries_that_count = 1;
  queue.PutBack(std::move(*poison));
  const auto next = queue.Take(At(0));
  EXPECT_EQ(next->window, 2U);
  queue.Settle(*next);
  EXPECT_EQ(queue.Take(At(0))->window, 1U);
}

TEST(ProfileQueue, NothingBeforeItsTime) {
  ProfileQueue queue(100000);
  EXPECT_FALSE(queue.NextDue());
  queue.Add(Make(10, 1));
  auto profile = queue.Take(At(0));
  profile->not_before = At(5);
  queue.PutBack(std::move(*profile));
  EXPECT_EQ(queue.NextDue(), At(5));
  EXPECT_FALSE(queue.Take(At(4)));
  EXPECT_EQ(queue.NextRawBytes(At(4)), 0U);
  queue.ForgetDelays();
  EXPECT_TRUE(queue.Take(At(4)));
}

TEST(ProfileQueue, KnowsTheOldestWindowInIt) {
  ProfileQueue queue(100000);
  EXPECT_FALSE(queue.OldestWindow());
  queue.Add(Make(10, 7));
  queue.Add(Make(10, 8));
  const auto sending = queue.Take(At(0));
  EXPECT_EQ(queue.OldestWindow(), 7U) << "still being sent";
  queue.Settle(*sending);
  EXPECT_EQ(queue.OldestWindow(), 8U);
}

}  // namespace
}  // namespace pyroscope::internal
