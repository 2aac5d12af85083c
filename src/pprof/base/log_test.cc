#include "src/pprof/base/log.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace pprof {
namespace {

TEST(Log, HandlerGetsLevelAndLine) {
  std::vector<std::pair<LogLevel, std::string>> lines;
  SetLogHandler([&](LogLevel level, std::string_view line) { lines.emplace_back(level, line); });
  base::Log(LogLevel::kWarning, "the file is gone: create it");
  SetLogHandler({});
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].first, LogLevel::kWarning);
  EXPECT_EQ(lines[0].second, "the file is gone: create it");
}

TEST(Log, EachKindSpeaksOnce) {
  int lines = 0;
  SetLogHandler([&](LogLevel, std::string_view) { ++lines; });
  base::LogOnce(LogLevel::kWarning, "log_test kind a", "1");
  base::LogOnce(LogLevel::kWarning, "log_test kind a", "2");
  base::LogOnce(LogLevel::kWarning, "log_test kind b", "3");
  SetLogHandler({});
  EXPECT_EQ(lines, 2);
}

TEST(Log, EmptyHandlerIsSilent) {
  SetLogHandler({});
  testing::internal::CaptureStderr();
  base::Log(LogLevel::kError, "nobody wants to hear this");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Log, ThrowingHandlerDoesNotReachTheHost) {
  SetLogHandler([](LogLevel, std::string_view) { throw std::runtime_error("broken handler"); });
  EXPECT_NO_THROW(base::Log(LogLevel::kError, "line"));
  SetLogHandler({});
}

// The last one: the level stays.
TEST(Log, LevelDropsLinesBelowIt) {
  std::string heard;
  SetLogHandler([&](LogLevel, std::string_view line) { heard += line; });
  Log(LogLevel::kDebug, "a");
  SetLogLevel(LogLevel::kWarning);
  Log(LogLevel::kInfo, "b");
  base::LogOnce(LogLevel::kWarning, "log_test kind c", "c");
  SetLogLevel(LogLevel::kInfo);
  Log(LogLevel::kInfo, "d");
  Log(LogLevel::kDebug, "e");
  SetLogHandler({});
  EXPECT_EQ(heard, "acd");
}

}  // namespace
}  // namespace pprof
