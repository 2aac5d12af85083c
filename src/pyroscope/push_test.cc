// The push client as a whole against a server on loopback, with made-up profiles.

#include <gtest/gtest.h>
#include <pyroscope/pyroscope.h>
#include <pyroscope/stats.h>

#include <chrono>
#include <string>

#include "src/pyroscope/push_test_fakes.h"
#include "src/pyroscope/push_test_server.h"

namespace pyroscope::internal {
namespace {

using namespace std::chrono_literals;
using pprof::Status;

void AcceptAll(const TestRequest&, TestConnection& connection) { connection.Accept(); }

Config ConfigFor(const TestServer& server) {
  Config config;
  config.application_name = "shop";
  config.server_address = server.url();
  config.upload_interval = 10min;
  return config;
}

pprof::Result<Profiler> StartTest(const Config& config, FakeSource& source,
                                  const Tuning& tuning = {}) {
  return StartWith(config, Variables({}), source, tuning);
}

TEST(Push, SendsOneProfileARequest) {
  TestServer server(AcceptAll);
  FakeSource source;
  source.Lay({FakeSource::Profile("one", 3), FakeSource::Profile("two", 4)});
  const Stats before = ReadStats();
  auto profiler = StartTest(ConfigFor(server), source);
  ASSERT_TRUE(profiler.ok()) << profiler.status().message;
  EXPECT_TRUE(profiler->running());
  ASSERT_TRUE(profiler->Flush(30s).ok());

  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].line, "POST /push.v1.PusherService/Push HTTP/1.1");
  EXPECT_EQ(requests[0].headers.at("content-type"), "application/proto");
  EXPECT_EQ(requests[0].headers.count("authorization"), 0U);
  const DecodedPush push = DecodePush(requests[0].body);
  EXPECT_EQ(push.series, 1);
  EXPECT_EQ(push.samples, 1);
  EXPECT_EQ(push.profile, "one");
  EXPECT_EQ(push.id.size(), 36U);
  EXPECT_EQ(push.labels.at("__name__"), "process_cpu");
  EXPECT_EQ(push.labels.at("service_name"), "shop");
  EXPECT_EQ(push.labels.at("process.runtime.name"), "cpp");
  EXPECT_EQ(DecodePush(requests[1].body).profile, "two");
  EXPECT_EQ(server.connections(), 1) << "connections are reused";
  const Stats after = ReadStats();
  EXPECT_EQ(after.profiles_accepted - before.profiles_accepted, 2U);
  EXPECT_EQ(after.samples_accepted - before.samples_accepted, 7U);
}

TEST(Push, StopSendsTheLastWindow) {
  TestServer server(AcceptAll);
  FakeSource source;
  auto profiler = StartTest(ConfigFor(server), source);
  ASSERT_TRUE(profiler.ok()) << profiler.status().message;
  const Status stopped = profiler->Stop(30s);
  EXPECT_TRUE(stopped.ok()) << stopped.message;
  EXPECT_FALSE(profiler->running());
  EXPECT_EQ(server.requests().size(), 1U);
  EXPECT_EQ(source.closed(), 1);
  EXPECT_TRUE(profiler->Stop().ok()) << "again";
  EXPECT_EQ(profiler->Flush(1s).code, Status::Code::kStopped);
}

}  // namespace
}  // namespace pyroscope::internal
