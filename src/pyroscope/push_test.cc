// The push client as a whole against a server on loopback that takes everything, with made-up
// profiles.

#include <gtest/gtest.h>
#include <pyroscope/pyroscope.h>
#include <pyroscope/stats.h>

#include <chrono>
#include <fstream>
#include <string>

#include "src/pyroscope/push_test_fakes.h"
#include "src/pyroscope/push_test_server.h"
#include "tests/support/process.h"

namespace pyroscope::internal {
namespace {

using namespace std::chrono_literals;
using pprof::Status;

void AcceptAll(const TestRequest&, TestConnection& connection) { connection.Accept(); }

pprof::Result<Profiler> StartTest(const Config& config, FakeSource& source,
                                  const std::map<std::string, std::string>& variables = {}) {
  return StartWith(config, Variables(variables), source, FastTuning());
}

TEST(Push, SendsOneProfileARequest) {
  TestServer server(AcceptAll);
  FakeSource source;
  source.Lay({FakeSource::Profile("one", 3), FakeSource::Profile("two", 4)});
  const StatsSince stats;
  auto profiler = StartTest(ConfigFor(server.url()), source);
  ASSERT_TRUE(profiler.ok()) << profiler.status().message;
  EXPECT_TRUE(profiler->running());
  ASSERT_TRUE(profiler->Flush(30s).ok());

  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].line, "POST /push.v1.PusherService/Push HTTP/1.1");
  EXPECT_EQ(requests[0].headers.at("content-type"), "application/proto");
  EXPECT_EQ(requests[0].headers.count("authorization"), 0U);
  EXPECT_EQ(requests[0].headers.count("expect"), 0U);
  const DecodedPush push = DecodePush(requests[0].body);
  EXPECT_EQ(push.series, 1);
  EXPECT_EQ(push.samples, 1);
  EXPECT_EQ(push.profile, "one");
  EXPECT_EQ(push.id.size(), 36U);
  EXPECT_NE(push.id, DecodePush(requests[1].body).id);
  EXPECT_EQ(push.labels.at("__name__"), "process_cpu");
  EXPECT_EQ(push.labels.at("service_name"), "shop");
  EXPECT_EQ(DecodePush(requests[1].body).profile, "two");
  EXPECT_EQ(server.connections(), 1) << "connections are reused";
  EXPECT_EQ(stats.Now().windows, 1U);
  EXPECT_EQ(stats.Now().profiles_taken, 2U);
  EXPECT_EQ(stats.Now().profiles_accepted, 2U);
  EXPECT_EQ(stats.Now().samples_accepted, 7U);
  EXPECT_EQ(stats.Now().bytes_sent, requests[0].body.size() + requests[1].body.size());
  EXPECT_EQ(stats.Now().queue_bytes, 0U);
}

TEST(Push, SendsCredentialsTenantAndHeaders) {
  TestServer server(AcceptAll);
  FakeSource source;
  Config config = ConfigFor(server.url());
  config.basic_auth_user = "user";
  config.basic_auth_password = "pass";
  config.tenant_id = "team";
  config.http_headers = {{"X-Empty", ""}, {"User-Agent", "mine"}};
  auto profiler = StartTest(config, source);
  ASSERT_TRUE(profiler.ok()) << profiler.status().message;
  ASSERT_TRUE(profiler->Stop(30s).ok());
  const auto headers = server.requests().at(0).headers;
  EXPECT_EQ(headers.at("authorization"), "Basic dXNlcjpwYXNz");
  EXPECT_EQ(headers.at("x-scope-orgid"), "team");
  EXPECT_EQ(headers.at("x-empty"), "");
  EXPECT_EQ(headers.at("user-agent"), "mine");
}

TEST(Push, StopSendsTheLastWindow) {
  TestServer server(AcceptAll);
  FakeSource source;
  auto profiler = StartTest(ConfigFor(server.url()), source);
  ASSERT_TRUE(profiler.ok()) << profiler.status().message;
  const Status stopped = profiler->Stop(30s);
  EXPECT_TRUE(stopped.ok()) << stopped.message;
  EXPECT_FALSE(profiler->running());
  EXPECT_EQ(server.requests().size(), 1U);
  EXPECT_EQ(source.closed(), 1);
  EXPECT_TRUE(profiler->Stop().ok()) << "again";
  EXPECT_EQ(profiler->Flush(1s).code, Status::Code::kStopped);
  EXPECT_EQ(profiler->SetTags({}).code, Status::Code::kStopped);
}

TEST(Push, DestructionAndMoveStop) {
  TestServer server(AcceptAll);
  FakeSource source;
  {
    auto first = StartTest(ConfigFor(server.url()), source);
    ASSERT_TRUE(first.ok());
    Profiler moved = std::move(*first);
    EXPECT_FALSE(first->running());
    EXPECT_TRUE(first->Flush(1s).ok()) << "nothing to do";
    EXPECT_TRUE(moved.running());
    moved = Profiler(nullptr);
    EXPECT_EQ(server.requests().size(), 1U) << "assignment stopped it";
    auto second = StartTest(ConfigFor(server.url()), source);
    ASSERT_TRUE(second.ok()) << second.status().message;
  }
  EXPECT_EQ(server.requests().size(), 2U);
  EXPECT_EQ(source.closed(), 2);
}

TEST(Push, OnlyOneAtATime) {
  TestServer server(AcceptAll);
  FakeSource source;
  auto first = StartTest(ConfigFor(server.url()), source);
  ASSERT_TRUE(first.ok());
  auto second = StartTest(ConfigFor(server.url()), source);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code, Status::Code::kUnavailable);
  EXPECT_EQ(source.opened(), 1);
  EXPECT_TRUE(first->Stop(30s).ok());
  EXPECT_TRUE(StartTest(ConfigFor(server.url()), source).ok()) << "after Stop";
}

TEST(Push, WindowsFollowTheInterval) {
  TestServer server(AcceptAll);
  FakeSource source;
  Config config = ConfigFor(server.url());
  config.upload_interval = 100ms;
  const auto start = Clock::now();
  auto profiler = StartTest(config, source);
  ASSERT_TRUE(profiler.ok());
  ASSERT_TRUE(server.WaitForRequests(10));
  EXPECT_GE(Clock::now() - start, 9 * 100ms)
      << "a first one of random length, then nine whole ones";
}

TEST(Push, TagsHoldFromTheNextWindowOn) {
  TestServer server(AcceptAll);
  FakeSource source;
  Config config = ConfigFor(server.url());
  config.tags = {{"version", "1"}};
  auto profiler = StartTest(config, source);
  ASSERT_TRUE(profiler.ok());
  ASSERT_TRUE(profiler->SetTags({{"version", "2"}, {"more", "x"}}).ok());
  EXPECT_EQ(profiler->SetTags({{"bad name", "2"}}).code, Status::Code::kInvalidArgument);
  ASSERT_TRUE(profiler->Flush(30s).ok());
  ASSERT_TRUE(profiler->Stop(30s).ok());
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(DecodePush(requests[0].body).labels.at("version"), "1");
  EXPECT_EQ(DecodePush(requests[0].body).labels.count("more"), 0U);
  EXPECT_EQ(DecodePush(requests[1].body).labels.at("version"), "2");
  EXPECT_EQ(DecodePush(requests[1].body).labels.at("more"), "x");
  const auto limits = source.limits();
  EXPECT_EQ(limits[0].max_labels_per_sample, limits[1].max_labels_per_sample + 1);
}

TEST(Push, EmptyWindowsAreNotSent) {
  TestServer server(AcceptAll);
  FakeSource source;
  source.Lay({FakeSource::Profile("empty", 0)});
  const StatsSince stats;
  auto profiler = StartTest(ConfigFor(server.url()), source);
  ASSERT_TRUE(profiler.ok());
  ASSERT_TRUE(profiler->Flush(30s).ok());
  EXPECT_EQ(stats.Now().windows_empty, 1U);
  EXPECT_EQ(stats.Now().attempts, 0U);
  EXPECT_TRUE(server.requests().empty());
}

TEST(Push, AWindowThatCannotBeReadIsCountedAndTheNextIsSent) {
  TestServer server(AcceptAll);
  FakeSource source;
  source.LayFailure({Status::Code::kUnavailable, "no memory for it"});
  const LogRecorder log;
  const StatsSince stats;
  auto profiler = StartTest(ConfigFor(server.url()), source);
  ASSERT_TRUE(profiler.ok());
  ASSERT_TRUE(profiler->Flush(30s).ok());
  ASSERT_TRUE(profiler->Stop(30s).ok());
  EXPECT_EQ(stats.Now().windows, 2U);
  EXPECT_EQ(stats.Now().windows_failed, 1U);
  EXPECT_EQ(stats.Now().profiles_accepted, 1U);
  EXPECT_EQ(log.Count("a window is lost: no memory for it"), 1);
}

TEST(Push, WhatTheProfilerRefusesStartReturns) {
  FakeSource source;
  source.RefuseToOpen({Status::Code::kUnavailable, "no timers"});
  auto profiler = StartTest(ConfigFor("http://127.0.0.1:1"), source);
  ASSERT_FALSE(profiler.ok());
  EXPECT_EQ(profiler.status().message, "no timers");
  EXPECT_EQ(ClientThreads(), 0);
}

TEST(Push, SwitchedOffThereIsNothing) {
  FakeSource source;
  const LogRecorder log;
  auto off = StartTest(ConfigFor("http://127.0.0.1:1"), source,
                       {{"PYROSCOPE_PROFILING_ENABLED", "false"}});
  ASSERT_TRUE(off.ok());
  auto no_server = StartTest(ConfigFor(""), source);
  ASSERT_TRUE(no_server.ok());
  EXPECT_EQ(log.Count("set Config::server_address"), 1) << log.All();
  for (Profiler* profiler : {&*off, &*no_server}) {
    EXPECT_FALSE(profiler->running());
    EXPECT_TRUE(profiler->Flush(1s).ok());
    EXPECT_TRUE(profiler->SetTags({}).ok());
    EXPECT_TRUE(profiler->Stop().ok());
  }
  EXPECT_EQ(source.opened(), 0);
  EXPECT_EQ(ClientThreads(), 0);
}

// SigBlk of /proc/self/task/<tid>/status for each of the client's threads.
TEST(Push, ItsThreadsBlockEverySignal) {
  TestServer server(AcceptAll);
  FakeSource source;
  auto profiler = StartTest(ConfigFor(server.url()), source);
  ASSERT_TRUE(profiler.ok());
  ASSERT_TRUE(profiler->Flush(30s).ok()) << "both threads run";
  int found = 0;
  for (int tid : test::ThreadIds()) {
    const std::string task = "/proc/self/task/" + std::to_string(tid);
    std::string name;
    std::getline(std::ifstream(task + "/comm") >> std::ws, name);
    if (name.rfind("pyroscope-", 0) != 0) continue;
    ++found;
    // All but SIGKILL, SIGSTOP and the two that the C library keeps (32, 33).
    EXPECT_EQ(test::CountLines(task + "/status", "SigBlk:\tfffffffe7ffbfeff"), 1) << name;
  }
  EXPECT_EQ(found, 2);
}

}  // namespace
}  // namespace pyroscope::internal
