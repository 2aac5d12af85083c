// Pulls over HTTP while other profiles run: each window is exact.

#include <gtest/gtest.h>
#include <httplib.h>
#include <pprof/profile_source.h>
#include <pprof_http/pprof_http.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/busy.h"
#include "tests/support/pprof_reader.h"

namespace {

using pprof_http::Server;

struct Pull {
  int seconds = 0;
  std::string bytes;
  std::int64_t cpu_ns = 0;  // of the process over the request
  std::int64_t wall_ns = 0;
};

void Fetch(const std::string& address, Pull* pull) {
  httplib::Client client("http://" + address);
  client.set_read_timeout(60);
  const std::int64_t cpu = test::ProcessCpuNs();
  const std::int64_t wall = test::ReadClockNs(CLOCK_MONOTONIC);
  const auto response =
      client.Get(("/debug/pprof/profile?seconds=" + std::to_string(pull->seconds)).c_str());
  pull->cpu_ns = test::ProcessCpuNs() - cpu;
  pull->wall_ns = test::ReadClockNs(CLOCK_MONOTONIC) - wall;
  if (response && response->status == 200) pull->bytes = response->body;
}

std::int64_t SamplesOf(const pprof_reader::Profile& profile) {
  std::int64_t sum = 0;
  for (const auto& sample : profile.samples) {
    // Frames for CPU time that was lost or missed are not what timers delivered.
    const bool missing =
        sample.frames.size() == 1 && (sample.frames[0].function.substr(0, 5) == "[lost" ||
                                      sample.frames[0].function.substr(0, 4) == "[not");
    if (!missing) sum += sample.count;
  }
  return sum;
}

// The CPU clock over a window: the profile's own comment has it, from its own edges.
std::int64_t CommentNumber(const pprof_reader::Profile& profile, std::string_view before) {
  for (const std::string_view comment : profile.comments) {
    const std::size_t at = comment.find(before);
    if (at == std::string_view::npos) continue;
    return std::strtoll(std::string(comment.substr(at + before.size())).c_str(), nullptr, 10);
  }
  return -1;
}

// Within 2 % and a period for each of the `live` threads.
void ExpectExact(const Pull& pull, std::int64_t live) {
  constexpr std::int64_t kPeriodNs = 10000000;
  std::string error;
  const auto profile = pprof_reader::Read(pull.bytes, &error);
  ASSERT_TRUE(profile.has_value()) << pull.seconds << " s: " << error;
  EXPECT_GE(profile->duration_ns, std::int64_t{pull.seconds} * 1000000000);
  EXPECT_LE(profile->duration_ns, pull.wall_ns);
  const std::int64_t process = CommentNumber(*profile, "over the window: ");
  const std::int64_t library = CommentNumber(*profile, "own threads: ");
  ASSERT_GT(process, 0);
  ASSERT_GE(library, 0);
  // The window lies within the request, whose CPU time was read here. What the request used outside
  // of it is at most all processors for the rest of its time. The clock of a process knows what
  // runs on another processor up to that one's last tick (thread_group_cputime of Linux), at both
  // ends.
  const auto processors = static_cast<std::int64_t>(std::thread::hardware_concurrency());
  timespec tick{};
  clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
  const std::int64_t unknown_ns = 2 * (processors - 1) * tick.tv_nsec;
  EXPECT_LE(process, pull.cpu_ns);
  EXPECT_GE(process, pull.cpu_ns - processors * (pull.wall_ns - profile->duration_ns) - kPeriodNs -
                         unknown_ns);
  const std::int64_t truth = process - library;
  const std::int64_t got = SamplesOf(*profile) * kPeriodNs;
  EXPECT_NEAR(static_cast<double>(got), static_cast<double>(truth),
              0.02 * static_cast<double>(truth) + static_cast<double>(live * kPeriodNs))
      << pull.seconds << " s";
  std::printf("%2d s: profile / CPU clock = %.4f, %.3f s beside the window\n", pull.seconds,
              static_cast<double>(got) / static_cast<double>(truth),
              static_cast<double>(pull.wall_ns - profile->duration_ns) / 1e9);
}

TEST(Pull, TenAtOnceBesideARunningWindowAreEachExact) {
  auto server = pprof_http::Serve({"127.0.0.1:0"});
  ASSERT_TRUE(server.ok()) << server.status().message;
  auto push = pprof::CpuProfileSource().Open(100);  // what a push client keeps running
  ASSERT_TRUE(push.ok());
  constexpr int kBusy = 2;
  std::vector<Pull> pulls(10);
  {
    const test::BusyThreads busy(kBusy);
    // New threads are looked for ten times a second. What they use until then stands under a frame
    // of its own and is not what this test compares.
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < pulls.size(); ++i) {
      pulls[i].seconds = 2 + static_cast<int>(i);
      threads.emplace_back(Fetch, server->address(), &pulls[i]);
    }
    for (int i = 0; i < 10; ++i) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      EXPECT_TRUE((*push)->Cut({}).ok());
    }
    for (std::thread& thread : threads) thread.join();
  }
  for (const Pull& pull : pulls) {
    ExpectExact(pull, static_cast<std::int64_t>(pulls.size()) + kBusy + 1);
  }
}

TEST(Pull, SaysAtWhichRateSamplingRuns) {
  auto server = pprof_http::Serve({"127.0.0.1:0"});
  ASSERT_TRUE(server.ok()) << server.status().message;
  auto first = pprof::CpuProfileSource().Open(250);
  ASSERT_TRUE(first.ok());
  Pull pull;
  pull.seconds = 1;
  std::thread fetch(Fetch, server->address(), &pull);
  test::BurnMs(500);
  fetch.join();
  std::string error;
  const auto profile = pprof_reader::Read(pull.bytes, &error);
  ASSERT_TRUE(profile.has_value()) << error;
  EXPECT_EQ(profile->period_ns, 4000000);
  EXPECT_GT(SamplesOf(*profile), 0);
}

}  // namespace
