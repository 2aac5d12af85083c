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

// Within 2 % and one period a thread of the CPU clock over the profile's own window.
void CheckPull(const Pull& pull, std::int64_t threads) {
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
  EXPECT_LE(process, pull.cpu_ns);
  const auto truth = static_cast<double>(process - library);
  const auto got = static_cast<double>(SamplesOf(*profile) * kPeriodNs);
  EXPECT_NEAR(got, truth, 0.02 * truth + static_cast<double>(threads * kPeriodNs))
      << pull.seconds << " s";
  std::printf("%2d s: profile / CPU clock = %.4f\n", pull.seconds, got / truth);
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
  for (const Pull& pull : pulls)
    CheckPull(pull, static_cast<std::int64_t>(pulls.size()) + kBusy + 1);
}

}  // namespace
