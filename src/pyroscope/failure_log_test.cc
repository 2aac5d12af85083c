#include "src/pyroscope/failure_log.h"

#include <gtest/gtest.h>

namespace pyroscope::internal {
namespace {

using namespace std::chrono_literals;

const TimePoint kStart = TimePoint() + 1h;

TEST(FailureLog, EachKindOnceThenOnceAMinute) {
  FailureLog log(60s);
  EXPECT_EQ(log.Failure("a", "first a", kStart), "first a");
  EXPECT_EQ(log.Failure("b", "first b", kStart), "first b");
  EXPECT_EQ(log.Failure("a", "again", kStart + 1s), "");
  EXPECT_EQ(log.Failure("a", "again", kStart + 59s), "");
  EXPECT_EQ(log.Failure("a", "again", kStart + 60s),
            "again (and 2 times more since the last line)");
  EXPECT_EQ(log.Failure("a", "again", kStart + 61s), "");
}

TEST(FailureLog, RecoveryOnce) {
  FailureLog log(60s);
  EXPECT_EQ(log.Recovery(kStart), "") << "nothing has failed";
  log.Failure("a", "a", kStart);
  log.Failure("a", "a", kStart + 5s);
  EXPECT_EQ(log.Recovery(kStart + 9s), "profiles are accepted again, after 2 failures in 9 s");
  EXPECT_EQ(log.Recovery(kStart + 10s), "");
  log.Failure("a", "a", kStart + 20s);  // not logged, so no recovery either
  EXPECT_EQ(log.Recovery(kStart + 21s), "");
}

TEST(FailureLog, KindsAreBounded) {
  FailureLog log(60s);
  int logged = 0;
  for (int i = 0; i < 1000; ++i)
    logged += log.Failure(std::to_string(i), "x", kStart).empty() ? 0 : 1;
  EXPECT_EQ(logged, 64);
}

}  // namespace
}  // namespace pyroscope::internal
