#include "src/pprof_http/routes.h"

#include <gtest/gtest.h>
#include <pprof/stats.h>

#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "src/pprof_http/fake_source_test.h"
#include "src/pprof_http/target.h"

namespace pprof_http {
namespace {

std::string Header(const Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

Response Get(std::string_view target, pprof::ProfileSource& source) {
  return Route({"GET", target, {}}, source);
}

TEST(Target, PathAndQueryAreTakenApart) {
  EXPECT_EQ(PathOf("/a/b?x=1"), "/a/b");
  EXPECT_EQ(PathOf("/a"), "/a");
  EXPECT_EQ(QueryValue("/a?x=1&y=2", "y"), "2");
  EXPECT_EQ(QueryValue("/a?x=1&x=2", "x"), "1");
  EXPECT_EQ(QueryValue("/a?x", "x"), "");
  EXPECT_EQ(QueryValue("/a?%78=%31+%zz%4", "x"), "1 %zz%4");
  EXPECT_EQ(QueryValue("/a?xx=1&=2", "x"), std::nullopt);
  EXPECT_EQ(QueryValue("/a", "x"), std::nullopt);
}

TEST(Route, ProfileIsTheWindowOfTheAskedSeconds) {
  FakeSource source;
  const auto start = std::chrono::steady_clock::now();
  const Response response = Get("/debug/pprof/profile?seconds=1", source);
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "gzip");
  EXPECT_EQ(Header(response, "Content-Type"), "application/octet-stream");
  EXPECT_EQ(Header(response, "X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(Header(response, "Access-Control-Allow-Origin"), "");
  EXPECT_GE(took, std::chrono::seconds(1));
  EXPECT_EQ(source.stopped, 1);
}

TEST(Route, SecondsOutOfRangeAreRefusedBeforeAnythingStarts) {
  FakeSource source;
  for (const char* seconds : {"0", "-1", "601", "1.5", "x", "", "1x", "99999999999999999999"}) {
    const Response response = Get("/debug/pprof/profile?seconds=" + std::string(seconds), source);
    EXPECT_EQ(response.status, 400) << seconds;
    EXPECT_NE(response.body.find("1 to 600"), std::string::npos);
  }
  EXPECT_EQ(source.stopped + source.discarded, 0);
}

TEST(Route, CancelledProfileIsDiscardedAtOnce) {
  FakeSource source;
  const auto start = std::chrono::steady_clock::now();
  const auto late = [&] {
    return std::chrono::steady_clock::now() - start > std::chrono::milliseconds(200);
  };
  Route({"GET", "/debug/pprof/profile?seconds=600", late}, source);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_EQ(source.discarded, 1);
  EXPECT_EQ(source.stopped, 0);
}

TEST(Route, HeadStartsNoProfile) {
  FakeSource source;
  const Response response = Route({"HEAD", "/debug/pprof/profile?seconds=600", {}}, source);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(Header(response, "Content-Type"), "application/octet-stream");
  EXPECT_EQ(source.stopped + source.discarded, 0);
}

TEST(Route, SourceThatFailsIs503WithItsReason) {
  FakeSource source;
  source.open_status = {pprof::Status::Code::kUnavailable, "no timers here"};
  EXPECT_EQ(Get("/debug/pprof/profile?seconds=1", source).status, 503);
  EXPECT_EQ(Get("/debug/pprof/profile?seconds=1", source).body, "no timers here\n");
  source.open_status = {};
  source.stop_status = {pprof::Status::Code::kStopped, "forked"};
  EXPECT_EQ(Get("/debug/pprof/profile?seconds=1", source).body, "forked\n");
}

TEST(Route, SeventeenthProfileAtOnceIs503) {
  FakeSource source;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      Route({"GET", "/debug/pprof/profile?seconds=600", [&] { return stop.load(); }}, source);
    });
  }
  while (source.open < 16) std::this_thread::yield();
  const Response refused = Get("/debug/pprof/profile?seconds=1", source);
  EXPECT_EQ(refused.status, 503);
  EXPECT_NE(Header(refused, "Retry-After"), "");
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Get("/debug/pprof/profile?seconds=1", source).status, 200);
}

TEST(Route, WhatCppCannotHaveIs404WithOneSentence) {
  FakeSource source;
  for (const char* name :
       {"heap", "allocs", "goroutine", "block", "mutex", "threadcreate", "trace", "symbol"}) {
    const Response response = Get("/debug/pprof/" + std::string(name) + "?debug=1", source);
    EXPECT_EQ(response.status, 404) << name;
    EXPECT_EQ(Header(response, "Content-Type"), "text/plain; charset=utf-8");
    EXPECT_GT(response.body.size(), 20u);
    EXPECT_EQ(response.body.find('\n'), response.body.size() - 1);
  }
  EXPECT_EQ(Get("/", source).status, 404);
  EXPECT_EQ(Get("/debug/pprof/nothing", source).status, 404);
  EXPECT_EQ(Header(Get("/debug/pprof", source), "Location"), "/debug/pprof/");
}

TEST(Route, OtherMethodsAreRefused) {
  FakeSource source;
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "get", ""}) {
    const Response response = Route({method, "/debug/pprof/", {}}, source);
    EXPECT_EQ(response.status, 405) << method;
    EXPECT_EQ(Header(response, "Allow"), "GET, HEAD");
  }
}

TEST(Route, CmdlineIsTheProgramsArguments) {
  FakeSource source;
  const Response response = Get("/debug/pprof/cmdline", source);
  EXPECT_NE(response.body.find("routes_test"), std::string::npos);
  ASSERT_FALSE(response.body.empty());
  EXPECT_NE(response.body.back(), '\0');
}

TEST(Route, IndexNamesTheRoutes) {
  FakeSource source;
  const Response response = Get("/debug/pprof/", source);
  EXPECT_EQ(Header(response, "Content-Type"), "text/html; charset=utf-8");
  for (const char* name : {"profile", "cmdline", "stats"}) {
    EXPECT_NE(response.body.find(name), std::string::npos);
  }
}

TEST(StatsJson, HoldsEveryCounterWithItsValue) {
  pprof::Stats stats;
  // All members are of one type: as an array, each gets a value of its own.
  static_assert(std::is_standard_layout_v<pprof::Stats>);
  constexpr std::size_t kCount = sizeof stats / sizeof(std::uint64_t);
  std::uint64_t values[kCount];
  for (std::size_t i = 0; i < kCount; ++i) values[i] = 1000000 + i;
  std::memcpy(&stats, values, sizeof stats);
  const std::string json = StatsJson(stats);
  for (std::size_t i = 0; i < kCount; ++i) {
    EXPECT_NE(json.find("\": " + std::to_string(values[i])), std::string::npos) << "member " << i;
  }
  EXPECT_NE(json.find("\"samples_lost\": " + std::to_string(stats.samples_lost)),
            std::string::npos);
}

}  // namespace
}  // namespace pprof_http
