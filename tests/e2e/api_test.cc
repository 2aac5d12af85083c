// What StartCpuProfile and Stop promise, errors first.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>

#include "tests/support/busy.h"

namespace pprof {
namespace {

using Code = Status::Code;

std::string TempPath(const char* name) { return testing::TempDir() + name; }

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

bool IsGzip(const std::string& bytes) {
  return bytes.size() > 20 && bytes[0] == '\x1f' && bytes[1] == '\x8b';
}

TEST(StartCpuProfile, RateOutOfRangeIsAnErrorThatNamesTheRange) {
  for (const int rate : {-1, 0, 1001}) {
    const auto profile = StartCpuProfile(TempPath("rate"), {rate});
    ASSERT_FALSE(profile.ok());
    EXPECT_EQ(profile.status().code, Code::kInvalidArgument);
    EXPECT_NE(profile.status().message.find("1 to 1000"), std::string::npos);
  }
}

TEST(StartCpuProfile, PathThatCannotBeCreatedIsKIoWithTheReason) {
  const auto profile = StartCpuProfile("/nowhere/at/all/cpu.pb.gz");
  ASSERT_FALSE(profile.ok());
  EXPECT_EQ(profile.status().code, Code::kIo);
  EXPECT_NE(profile.status().message.find("/nowhere/at/all/cpu.pb.gz"), std::string::npos);
  EXPECT_NE(profile.status().message.find("No such file"), std::string::npos);
  EXPECT_EQ(StartCpuProfile("").status().code, Code::kInvalidArgument);
}

TEST(StartCpuProfile, ClosedDescriptorAndEmptyFunctionAreErrors) {
  EXPECT_EQ(StartCpuProfile(9999).status().code, Code::kInvalidArgument);
  EXPECT_EQ(StartCpuProfile(WriteFunction()).status().code, Code::kInvalidArgument);
}

TEST(CpuProfile, WritesToPathDescriptorAndFunction) {
  const std::string path = TempPath("sinks.pb.gz");
  const std::string fd_path = TempPath("sinks_fd.pb.gz");
  const int fd = open(fd_path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  std::string written;
  auto to_path = StartCpuProfile(path);
  auto to_fd = StartCpuProfile(fd);
  auto to_function = StartCpuProfile([&](std::string_view bytes) {
    written += bytes;
    return true;
  });
  ASSERT_TRUE(to_path.ok() && to_fd.ok() && to_function.ok());
  test::BurnMs(100);
  EXPECT_TRUE(to_path->Stop().ok());
  EXPECT_TRUE(to_fd->Stop().ok());
  EXPECT_TRUE(to_function->Stop().ok());
  EXPECT_TRUE(IsGzip(ReadFile(path)));
  EXPECT_TRUE(IsGzip(ReadFile(fd_path)));
  EXPECT_TRUE(IsGzip(written));
  EXPECT_EQ(fcntl(fd, F_GETFD), 0);  // borrowed, not closed
  close(fd);
}

TEST(CpuProfile, SecondStopIsKStopped) {
  auto profile = StartCpuProfile([](std::string_view) { return true; });
  ASSERT_TRUE(profile.ok());
  EXPECT_TRUE(profile->Stop().ok());
  EXPECT_EQ(profile->Stop().code, Code::kStopped);
}

TEST(CpuProfile, MovedFromIsKStoppedAndTheNewOwnerStops) {
  auto profile = StartCpuProfile([](std::string_view) { return true; });
  ASSERT_TRUE(profile.ok());
  CpuProfile owner = std::move(*profile);
  EXPECT_EQ(profile->Stop().code, Code::kStopped);
  EXPECT_TRUE(owner.Stop().ok());
}

TEST(CpuProfile, AssignmentStopsTheProfileThatItReplaces) {
  bool written = false;
  auto first = StartCpuProfile([&](std::string_view) { return written = true; });
  auto second = StartCpuProfile([](std::string_view) { return true; });
  ASSERT_TRUE(first.ok() && second.ok());
  *first = std::move(*second);
  EXPECT_TRUE(written);
  EXPECT_TRUE(first->Stop().ok());
}

TEST(CpuProfile, WriteFunctionThatGivesUpOrThrowsIsKIo) {
  auto refusing = StartCpuProfile([](std::string_view) { return false; });
  auto throwing = StartCpuProfile([](std::string_view) -> bool { throw std::runtime_error("x"); });
  ASSERT_TRUE(refusing.ok() && throwing.ok());
  EXPECT_EQ(refusing->Stop().code, Code::kIo);
  EXPECT_EQ(throwing->Stop().code, Code::kIo);
}

TEST(CpuProfile, FullDiskIsKIoWithTheReason) {
  auto profile = StartCpuProfile("/dev/full");
  ASSERT_TRUE(profile.ok());
  const Status stopped = profile->Stop();
  EXPECT_EQ(stopped.code, Code::kIo);
  EXPECT_NE(stopped.message.find("No space left"), std::string::npos);
}

TEST(CpuProfile, FirstRunningProfileFixesTheRate) {
  auto first = StartCpuProfile([](std::string_view) { return true; }, {250});
  auto second = StartCpuProfile([](std::string_view) { return true; }, {50});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->rate(), 250);
  EXPECT_EQ(second->rate(), 250);
  EXPECT_TRUE(first->Stop().ok());
  auto third = StartCpuProfile([](std::string_view) { return true; }, {50});
  EXPECT_EQ(third->rate(), 250);  // the second still runs
  EXPECT_TRUE(second->Stop().ok());
  EXPECT_TRUE(third->Stop().ok());
  auto fourth = StartCpuProfile([](std::string_view) { return true; }, {50});
  EXPECT_EQ(fourth->rate(), 50);
}

TEST(ReadStats, CountsWhatARunningProfileDoes) {
  const Stats before = ReadStats();
  auto profile = StartCpuProfile([](std::string_view) { return true; });
  ASSERT_TRUE(profile.ok());
  test::BurnMs(300);
  const Stats during = ReadStats();
  EXPECT_GT(during.deliveries, before.deliveries);
  EXPECT_GE(during.timers_created, before.timers_created + 1);
  EXPECT_GT(during.modules_loaded, 2u);
  EXPECT_GT(during.unwind_table_bytes, 10000u);
  EXPECT_GT(during.ring_bytes, 0u);
  EXPECT_TRUE(profile->Stop().ok());
  const Stats after = ReadStats();
  // The kernel looks at CPU timers only in its tick. On a loaded machine a thread can run for 60 ms
  // without meeting one, and what is still undelivered then counts when sampling stops.
  EXPECT_GT(after.samples, before.samples);
  const std::uint64_t corrected = after.samples_exit_correction - before.samples_exit_correction;
  EXPECT_GE(after.samples - before.samples + corrected, 29u);
  EXPECT_EQ(after.samples_lost, before.samples_lost);
  EXPECT_GT(after.library_cpu_ns, before.library_cpu_ns);
  EXPECT_EQ(after.ring_bytes, 0u);
  EXPECT_EQ(after.aggregation_bytes, 0u);
}

}  // namespace
}  // namespace pprof
