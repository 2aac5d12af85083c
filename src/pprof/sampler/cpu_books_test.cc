#include "src/pprof/sampler/cpu_books.h"

#include <gtest/gtest.h>

namespace pprof::sampler {
namespace {

constexpr std::int64_t kPeriod = 10000000;

std::uint64_t Due(CpuBooks& books, Special frame) {
  std::vector<Owed> owed;
  books.TakeOwed(&owed);
  std::uint64_t sum = 0;
  for (const Owed& one : owed) sum += one.frame == frame ? one.weight : 0;
  return sum;
}

TEST(CpuBooks, WholePeriodsBecomeDueAndTheRestStays) {
  CpuBooks books;
  books.Reset(kPeriod);
  books.Add(Special::kExitCorrection, kPeriod - 1);
  EXPECT_EQ(Due(books, Special::kExitCorrection), 0u);
  books.Add(Special::kExitCorrection, 2 * kPeriod + 1);
  EXPECT_EQ(Due(books, Special::kExitCorrection), 3u);
  EXPECT_EQ(Due(books, Special::kExitCorrection), 0u);
}

TEST(CpuBooks, WhatWasDeliveredTooMuchIsTakenFromWhatComes) {
  CpuBooks books;
  books.Reset(kPeriod);
  books.Add(Special::kExitCorrection, -3 * kPeriod);
  books.Add(Special::kExitCorrection, 4 * kPeriod);
  EXPECT_EQ(Due(books, Special::kExitCorrection), 1u);
}

TEST(CpuBooks, MeasurementAndEstimateOfExitsLackOnePeriodTogetherAtMost) {
  CpuBooks books;
  books.Reset(kPeriod);
  std::int64_t measured = 0;
  std::int64_t estimated = 0;
  std::vector<Owed> owed;
  for (int i = 1; i <= 1000; ++i) {
    const std::int64_t ns = std::int64_t{i} * 7919003 % (3 * kPeriod) - kPeriod;
    books.Add(Special::kExitCorrection, ns);
    books.Add(Special::kExitEstimated, 10000);
    measured += ns;
    estimated += 10000;
  }
  books.TakeOwed(&owed);
  std::int64_t due[2] = {};
  for (const Owed& one : owed) {
    due[one.frame == Special::kExitEstimated] += static_cast<std::int64_t>(one.weight) * kPeriod;
  }
  EXPECT_LT(measured + estimated - due[0] - due[1], kPeriod);
  EXPECT_NEAR(static_cast<double>(due[1]), static_cast<double>(estimated), kPeriod);
}

TEST(CpuBooks, FramesDoNotMix) {
  CpuBooks books;
  books.Reset(kPeriod);
  books.Add(Special::kTimerRefused, kPeriod / 2);
  books.Add(Special::kUnseenThreads, kPeriod / 2);
  std::vector<Owed> owed;
  books.TakeOwed(&owed);
  EXPECT_TRUE(owed.empty());
}

std::int64_t ShareOf(ExitTail& tail, int exits, std::int64_t fresh_ns) {
  for (int i = 0; i < exits; ++i) tail.ThreadEnded();
  return tail.Share(fresh_ns);
}

TEST(ExitTail, WithoutExitsNothingIsTheirs) {
  ExitTail tail;
  EXPECT_EQ(ShareOf(tail, 0, 1000000000), 0);
}

TEST(ExitTail, NeverMoreThanThereIs) {
  ExitTail tail;
  EXPECT_EQ(ShareOf(tail, 100, 500), 500);
}

TEST(ExitTail, NeverMoreThanTheLimitAnExit) {
  ExitTail tail;
  for (int i = 0; i < 50; ++i) {
    EXPECT_LE(ShareOf(tail, 1000, 1000 * 900000), 1000 * ExitTail::kMostNs);
  }
}

// Threads that end unseen in most intervals do not teach: the quiet ones tell what an exit costs.
TEST(ExitTail, IntervalsWithUnseenThreadsDoNotRaiseTheEstimate) {
  ExitTail tail;
  for (int i = 0; i < 12; ++i) {
    ShareOf(tail, 1000, 1000 * (i % 2 == 0 ? 7000 : 500000));
  }
  EXPECT_EQ(tail.per_exit_ns(), 7000);
  EXPECT_EQ(ShareOf(tail, 1000, 1000 * 500000), 1000 * 7000);
}

TEST(ExitTail, ForgetsWhatIsLongPast) {
  ExitTail tail;
  for (int i = 0; i < 20; ++i) ShareOf(tail, 1000, 1000 * 3000);
  for (int i = 0; i < 20; ++i) ShareOf(tail, 1000, 1000 * 9000);
  EXPECT_EQ(tail.per_exit_ns(), 9000);
}

TEST(ExitTail, FewExitsOrADisturbedIntervalDoNotTeach) {
  ExitTail tail;
  ShareOf(tail, 199, 199 * 5000);
  EXPECT_EQ(tail.per_exit_ns(), ExitTail::kMostNs);
  ShareOf(tail, 1, 5000);
  EXPECT_EQ(tail.per_exit_ns(), 5000);
  tail.Disturbed();
  ShareOf(tail, 1000, 1000 * 1000);
  EXPECT_EQ(tail.per_exit_ns(), 5000);
}

}  // namespace
}  // namespace pprof::sampler
