#include "src/pprof/profiler/window_ring.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace pprof::profiler {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

profile::Profile At(std::int64_t second, std::size_t samples = 1) {
  profile::Profile profile;
  profile.time_ns = second * kSecond;
  profile.duration_ns = kSecond;
  profile.samples.resize(samples);
  for (profile::Sample& sample : profile.samples) sample.locations.resize(20);
  return profile;
}

TEST(WindowRing, KeepsTheLastSeconds) {
  WindowRing ring(std::size_t{1} << 30, 10 * kSecond);
  for (int i = 0; i < 100; ++i) ring.Add(At(i));
  const view::Windows windows = ring.All();
  EXPECT_EQ(windows.front()->time_ns, 89 * kSecond) << "it ended ten seconds before the last";
  EXPECT_EQ(windows.back()->time_ns, 99 * kSecond);
}

TEST(WindowRing, KeepsToItsMemoryButAlwaysTheLast) {
  constexpr std::size_t kMax = 1 << 20;
  WindowRing ring(kMax, 3600 * kSecond);
  for (int i = 0; i < 100; ++i) {
    ring.Add(At(i, 1000));
    EXPECT_LE(ring.bytes(), kMax);
  }
  EXPECT_GT(ring.All().size(), 2u);
  EXPECT_LT(ring.All().size(), 20u);
  ring.Add(At(100, 100'000));
  EXPECT_EQ(ring.All().size(), 1u);
  ring.Add(At(101));
  EXPECT_EQ(ring.All().size(), 1u);
  EXPECT_EQ(ring.All().front()->time_ns, 101 * kSecond);
}

}  // namespace
}  // namespace pprof::profiler
