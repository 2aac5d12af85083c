// The push client against servers that refuse, fail, hang, lie and break off.

#include <gtest/gtest.h>
#include <pyroscope/pyroscope.h>
#include <pyroscope/stats.h>

#include <atomic>
#include <chrono>
#include <set>
#include <string>
#include <thread>

#include "src/pyroscope/push_test_fakes.h"
#include "src/pyroscope/push_test_server.h"

namespace pyroscope::internal {
namespace {

using namespace std::chrono_literals;
using pprof::Status;

Profiler StartFast(const std::string& url, FakeSource& source,
                   const Tuning& tuning = FastTuning()) {
  auto profiler = StartWith(ConfigFor(url), Variables({}), source, tuning);
  EXPECT_TRUE(profiler.ok()) << profiler.status().message;
  return std::move(*profiler);
}

void ExpectConserved(const Stats& stats) {
  EXPECT_EQ(stats.profiles_taken, stats.profiles_accepted + stats.profiles_lost +
                                      stats.profiles_unknown + stats.profiles_queued);
  EXPECT_EQ(stats.profiles_lost, stats.profiles_lost_refused + stats.profiles_lost_given_up +
                                     stats.profiles_lost_queue_full + stats.profiles_lost_unsent);
}

TEST(PushFaults, RefusedIsNeverRetried) {
  for (const int status : {400, 401, 403, 404, 413, 415, 422, 501}) {
    TestServer server([&](const TestRequest&, TestConnection& connection) {
      connection.Answer(status, "application/json", "the server's words\r\nand more");
    });
    FakeSource source;
    const LogRecorder log;
    const StatsSince stats;
    Profiler profiler = StartFast(server.url(), source);
    EXPECT_TRUE(profiler.Flush(30s).ok()) << "settled";
    EXPECT_TRUE(profiler.Flush(30s).ok());
    EXPECT_EQ(server.requests().size(), 2U) << status;
    EXPECT_EQ(stats.Now().profiles_lost_refused, 2U);
    const Status stopped = profiler.Stop(30s);
    EXPECT_EQ(log.Count("HTTP " + std::to_string(status) + ": the server's words  and more"), 1)
        << log.All();
    EXPECT_EQ(stopped.code, Status::Code::kIo);
    EXPECT_NE(stopped.message.find("the server's words"), std::string::npos) << stopped.message;
    ExpectConserved(stats.Now());
  }
}

TEST(PushFaults, FailuresAreRetriedWithTheSameBytes) {
  for (const int status : {408, 429, 500, 502, 503, 504}) {
    std::atomic<int> failures{3};
    TestServer server([&](const TestRequest&, TestConnection& connection) {
      if (failures-- > 0) {
        connection.Answer(status, "text/plain", "");
      } else {
        connection.Accept();
      }
    });
    FakeSource source;
    const LogRecorder log;
    const StatsSince stats;
    Profiler profiler = StartFast(server.url(), source);
    EXPECT_TRUE(profiler.Flush(30s).ok());
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 4U) << status;
    for (const TestRequest& request : requests) EXPECT_EQ(request.body, requests[0].body);
    EXPECT_EQ(stats.Now().retries, 3U);
    EXPECT_EQ(stats.Now().profiles_accepted, 1U);
    EXPECT_TRUE(profiler.Stop(30s).ok());
    EXPECT_EQ(log.Count("HTTP " + std::to_string(status)), 1) << log.All();
    EXPECT_EQ(log.Count("accepted again, after 3 failures"), 1) << log.All();
  }
}

TEST(PushFaults, RetryAfterIsObeyedAndCapped) {
  for (const char* retry_after : {"1", "3600"}) {
    std::atomic<int> failures{1};
    TestServer server([&](const TestRequest&, TestConnection& connection) {
      if (failures-- > 0) {
        connection.Answer(429, "application/json", "{}",
                          std::string("Retry-After: ") + retry_after + "\r\n");
      } else {
        connection.Accept();
      }
    });
    FakeSource source;
    Tuning tuning = FastTuning();
    tuning.max_retry_after = 1s;
    Profiler profiler = StartFast(server.url(), source, tuning);
    const auto start = Clock::now();
    EXPECT_TRUE(profiler.Flush(30s).ok());
    EXPECT_GE(Clock::now() - start, 1s);
    EXPECT_EQ(server.requests().size(), 2U);
  }
}

TEST(PushFaults, TheSameBytesAreNotTriedForEver) {
  for (const int status : {429, 500}) {
    TestServer server([&](const TestRequest& request, TestConnection& connection) {
      if (DecodePush(request.body).profile == "poison") {
        connection.Answer(status, "application/json", "{\"code\":\"unknown\"}");
      } else {
        connection.Accept();
      }
    });
    FakeSource source;
    source.Lay({FakeSource::Profile("poison", 5), FakeSource::Profile("good", 6)});
    const StatsSince stats;
    Profiler profiler = StartFast(server.url(), source);
    EXPECT_TRUE(profiler.Flush(30s).ok());
    EXPECT_EQ(stats.Now().profiles_accepted, 1U);
    // A server that fails may have stored it before; one that says "too much" has not.
    EXPECT_EQ(stats.Now().profiles_lost_given_up, status == 429 ? 1U : 0U);
    EXPECT_EQ(stats.Now().profiles_unknown, status == 429 ? 0U : 1U);
    EXPECT_EQ(stats.Now().samples_lost + stats.Now().samples_unknown, 5U);
    const auto requests = server.requests();
    EXPECT_EQ(requests.size(), 9U) << "eight tries, and the good one";
    EXPECT_EQ(DecodePush(requests[1].body).profile, "good") << "it need not wait";
  }
}

TEST(PushFaults, AnOutageOfTheWholeServerUsesUpNoProfile) {
  std::atomic<bool> accept{false};
  TestServer server([&](const TestRequest&, TestConnection& connection) {
    if (accept) {
      connection.Accept();
    } else {
      connection.Answer(500, "application/json", "{}");
    }
  });
  FakeSource source;
  Tuning tuning = FastTuning();
  tuning.patience = 1h;
  const StatsSince stats;
  Profiler profiler = StartFast(server.url(), source, tuning);
  EXPECT_EQ(profiler.Flush(1ms).code, Status::Code::kTimeout);
  ASSERT_TRUE(server.WaitForRequests(20));
  accept = true;
  EXPECT_TRUE(profiler.Flush(30s).ok());
  EXPECT_EQ(stats.Now().profiles_accepted, 2U);
  EXPECT_EQ(stats.Now().profiles_lost, 0U);
}

TEST(PushFaults, DownAtStartIsNoErrorAndNothingIsLost) {
  std::uint16_t port = 0;
  {
    port = TestServer([](const TestRequest&, TestConnection&) {}).port();
  }
  FakeSource source;
  const LogRecorder log;
  const StatsSince stats;
  Profiler profiler = StartFast("http://127.0.0.1:" + std::to_string(port), source);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(profiler.Flush(30ms).code, Status::Code::kTimeout);
  }
  EXPECT_EQ(stats.Now().profiles_queued, 3U);
  EXPECT_GE(stats.Now().retries, 2U);
  TestServer server([](const TestRequest&, TestConnection& c) { c.Accept(); }, port);
  EXPECT_TRUE(profiler.Flush(30s).ok());
  EXPECT_EQ(stats.Now().profiles_accepted, 4U);
  EXPECT_EQ(server.requests().size(), 4U);
  EXPECT_TRUE(profiler.Stop(30s).ok());
  EXPECT_EQ(log.Count("failed"), 1) << log.All();
  EXPECT_EQ(log.Count("check that the server runs"), 1) << log.All();
  EXPECT_EQ(log.Count("accepted again"), 1) << log.All();
}

TEST(PushFaults, FullQueueDropsTheOldestAndCounts) {
  std::atomic<bool> accept{false};
  std::set<std::string> taken;
  TestServer server([&](const TestRequest& request, TestConnection& connection) {
    if (accept) {
      taken.insert(DecodePush(request.body).profile.substr(0, 8));
      connection.Accept();
    } else {
      connection.Answer(503, "text/plain", "starting");
    }
  });
  FakeSource source;
  for (int i = 0; i < 10; ++i) {
    source.Lay({FakeSource::Profile(std::to_string(i) + std::string(10000, 'x'), 1)});
  }
  Tuning tuning = FastTuning();
  tuning.queue_bytes = 40000;
  tuning.max_tries_that_count = 1000000;
  const LogRecorder log;
  const StatsSince stats;
  Profiler profiler = StartFast(server.url(), source, tuning);
  for (std::uint64_t i = 1; i <= 10; ++i) {
    EXPECT_FALSE(profiler.Flush(1ms).ok());
    while (stats.Now().profiles_taken < i) std::this_thread::sleep_for(1ms);
    EXPECT_LE(stats.Now().queue_bytes, 40000U);
  }
  const std::uint64_t dropped = stats.Now().profiles_lost_queue_full;
  EXPECT_EQ(dropped, 7U) << "three fit";
  accept = true;
  EXPECT_TRUE(profiler.Flush(30s).ok());
  EXPECT_EQ(log.Count("the queue of 0 MiB is full"), 1) << log.All();
  EXPECT_EQ(stats.Now().profiles_accepted, 4U);
  // The oldest that fits is the eighth, or an older one that was on its way when the next had to
  // go: what is being sent is not dropped.
  ASSERT_EQ(taken.size(), 4U);
  EXPECT_LE(*taken.begin(), "7xxxxxxx");
  taken.erase(taken.begin());
  EXPECT_EQ(taken, (std::set<std::string>{"8xxxxxxx", "9xxxxxxx", "profile "}));
  ExpectConserved(stats.Now());
}

TEST(PushFaults, HangsAndSlowAnswersTimeOutAsUnknown) {
  const TestServer::Handler hang = [](const TestRequest&, TestConnection& c) { c.Hang(); };
  const TestServer::Handler slow = [](const TestRequest&, TestConnection& c) {
    while (c.Send("H")) std::this_thread::sleep_for(10ms);
    c.Close();
  };
  const TestServer::Handler slow_body = [](const TestRequest&, TestConnection& c) {
    c.Send("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: 100000\r\n\r\n");
    while (c.Send(" ")) std::this_thread::sleep_for(10ms);
    c.Close();
  };
  for (const auto& handler : {hang, slow, slow_body}) {
    TestServer server(handler);
    FakeSource source;
    Tuning tuning = FastTuning();
    tuning.http.total = 100ms;
    tuning.max_tries_that_count = 2;
    const LogRecorder log;
    const StatsSince stats;
    Profiler profiler = StartFast(server.url(), source, tuning);
    EXPECT_TRUE(profiler.Flush(30s).ok());
    EXPECT_EQ(stats.Now().attempts, 2U);
    EXPECT_EQ(stats.Now().profiles_unknown, 1U) << log.All();
    EXPECT_EQ(stats.Now().samples_unknown, 7U);
    EXPECT_EQ(profiler.Stop(0ms).code, Status::Code::kTimeout);
    EXPECT_EQ(log.Count("failed"), 1) << log.All();
  }
}

TEST(PushFaults, BrokenOffAnswersAreRetried) {
  const TestServer::Handler reset = [](const TestRequest&, TestConnection& c) { c.Reset(); };
  const TestServer::Handler close = [](const TestRequest&, TestConnection& c) { c.Close(); };
  const TestServer::Handler middle = [](const TestRequest&, TestConnection& c) {
    c.Send("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: 100\r\n\r\nxx");
    c.Reset();
  };
  const TestServer::Handler noise = [](const TestRequest&, TestConnection& c) {
    c.Send("SSH-2.0-OpenSSH_9.2\r\n");
    c.Close();
  };
  for (const auto& handler : {reset, close, middle, noise}) {
    std::atomic<int> failures{2};
    TestServer server([&](const TestRequest& request, TestConnection& connection) {
      if (failures-- > 0) {
        handler(request, connection);
      } else {
        connection.Accept();
      }
    });
    FakeSource source;
    const LogRecorder log;
    const StatsSince stats;
    Profiler profiler = StartFast(server.url(), source);
    EXPECT_TRUE(profiler.Flush(30s).ok());
    EXPECT_EQ(stats.Now().profiles_accepted, 1U);
    EXPECT_TRUE(profiler.Stop(30s).ok());
    EXPECT_EQ(log.Count("accepted again"), 1) << log.All();
  }
}

TEST(PushFaults, HugeAnswersAreNotRead) {
  for (const int status : {200, 400}) {
    std::atomic<std::size_t> sent{0};
    TestServer server([&](const TestRequest&, TestConnection& connection) {
      constexpr std::size_t kHuge = 100 << 20;
      connection.Send("HTTP/1.1 " + std::to_string(status) +
                      " X\r\nContent-Type: application/proto\r\nContent-Length: " +
                      std::to_string(kHuge) + "\r\n\r\n");
      const std::string chunk(65536, 'x');
      while (sent < kHuge && connection.Send(chunk)) sent += chunk.size();
      connection.Close();
    });
    FakeSource source;
    const StatsSince stats;
    Profiler profiler = StartFast(server.url(), source);
    EXPECT_TRUE(profiler.Flush(30s).ok());
    EXPECT_LT(sent, std::size_t{30} << 20) << "what the sockets buffer";
    EXPECT_EQ(stats.Now().attempts, 1U);
    EXPECT_EQ(stats.Now().profiles_accepted, status == 200 ? 1U : 0U);
    EXPECT_EQ(stats.Now().profiles_lost_refused, status == 200 ? 0U : 1U);
  }
}

TEST(PushFaults, AProxysPageIsNoAcceptance) {
  TestServer server([](const TestRequest&, TestConnection& connection) {
    connection.Answer(200, "text/html; charset=utf-8", "<html>\n<b>Sign in</b>\n</html>");
  });
  FakeSource source;
  const LogRecorder log;
  const StatsSince stats;
  Profiler profiler = StartFast(server.url(), source);
  EXPECT_TRUE(profiler.Flush(30s).ok());
  EXPECT_EQ(stats.Now().profiles_accepted, 0U);
  EXPECT_EQ(stats.Now().profiles_unknown, 1U);
  EXPECT_EQ(profiler.Stop(30s).code, Status::Code::kIo);
  EXPECT_EQ(log.Count("HTTP 200 of type \"text/html; charset=utf-8\": <html> <b>Sign in"), 1)
      << log.All();
}

TEST(PushFaults, RedirectsAreNotFollowed) {
  TestServer other([](const TestRequest&, TestConnection& connection) { connection.Accept(); });
  TestServer server([&](const TestRequest&, TestConnection& connection) {
    connection.Answer(307, "text/html", "", "Location: " + other.url() + "/elsewhere\r\n");
  });
  FakeSource source;
  const LogRecorder log;
  const StatsSince stats;
  Profiler profiler = StartFast(server.url(), source);
  EXPECT_TRUE(profiler.Flush(30s).ok());
  EXPECT_EQ(other.connections(), 0);
  EXPECT_EQ(stats.Now().profiles_lost_refused, 1U);
  EXPECT_EQ(profiler.Stop(30s).code, Status::Code::kIo);
  EXPECT_EQ(log.Count("HTTP 307 to " + other.url() + "/elsewhere"), 1) << log.All();
}

TEST(PushFaults, CredentialsAreNeverLogged) {
  TestServer server([](const TestRequest& request, TestConnection& connection) {
    std::string echo;
    for (const auto& [name, value] : request.headers) echo += name + ": " + value + '\n';
    connection.Answer(403, "text/plain", echo + "password hunter2-secret");
  });
  FakeSource source;
  Config config = ConfigFor("http://me:hunter2-secret@" + server.url().substr(7));
  config.http_headers = {{"X-Token", "Bearer abc-token"}};
  const LogRecorder log;
  auto profiler = StartWith(config, Variables({}), source, FastTuning());
  ASSERT_TRUE(profiler.ok());
  EXPECT_TRUE(profiler->Flush(30s).ok());
  const std::string stopped = profiler->Stop(30s).message;
  EXPECT_EQ(server.requests()[0].headers.at("authorization"),
            "Basic " + Base64("me:hunter2-secret"));
  for (const std::string& text : {log.All(), stopped}) {
    EXPECT_NE(text.find("HTTP 403"), std::string::npos);
    for (const std::string& secret :
         {std::string("hunter2"), std::string("abc-token"), Base64("me:hunter2-secret")}) {
      EXPECT_EQ(text.find(secret), std::string::npos) << text;
    }
  }
}

TEST(PushFaults, NameThatDoesNotExistAndTlsWithoutTls) {
  TestServer server([](const TestRequest&, TestConnection& connection) { connection.Close(); });
  const std::string tls = "https" + server.url().substr(4);
  for (const std::string& url : {std::string("http://no-such-host.invalid"), tls}) {
    FakeSource source;
    const LogRecorder log;
    const StatsSince stats;
    Profiler profiler = StartFast(url, source);
    EXPECT_EQ(profiler.Flush(700ms).code, Status::Code::kTimeout);
    // A resolver may be slow to say no.
    for (int i = 0; i < 300 && log.Count("failed") == 0; ++i) std::this_thread::sleep_for(100ms);
    const Status stopped = profiler.Stop(200ms);
    EXPECT_EQ(stopped.code, Status::Code::kTimeout);
    EXPECT_EQ(stats.Now().profiles_lost_unsent, 2U) << log.All();
    EXPECT_GE(log.Count("failed"), 1) << log.All();
    ExpectConserved(stats.Now());
  }
}

TEST(PushFaults, WindowsGoOnWhileTheServerHangs) {
  TestServer server([](const TestRequest&, TestConnection& connection) { connection.Hang(); });
  FakeSource source;
  Config config = ConfigFor(server.url());
  config.upload_interval = 100ms;
  Tuning tuning = FastTuning();
  tuning.http.total = 60s;
  const StatsSince stats;
  auto profiler = StartWith(config, Variables({}), source, tuning);
  ASSERT_TRUE(profiler.ok());
  const auto start = Clock::now();
  while (source.cuts() < 8 && Clock::now() - start < 30s) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(stats.Now().attempts, 1U) << "the first one still hangs";
  EXPECT_GE(source.cuts(), 8);
  EXPECT_EQ(profiler->Stop(0ms).code, Status::Code::kTimeout);
  EXPECT_EQ(stats.Now().profiles_unknown, 1U);
  ExpectConserved(stats.Now());
}

TEST(PushFaults, BacklogIsPaced) {
  TestServer server([](const TestRequest&, TestConnection& connection) { connection.Accept(); });
  FakeSource source;
  std::vector<pprof::EncodedProfile> profiles;
  for (int i = 0; i < 6; ++i) profiles.push_back(FakeSource::Profile("p", 1, 1 << 20));
  source.Lay(std::move(profiles));
  Tuning tuning = FastTuning();
  tuning.bytes_per_second = 10 << 20;
  Profiler profiler = StartFast(server.url(), source, tuning);
  const auto start = Clock::now();
  EXPECT_TRUE(profiler.Flush(30s).ok());
  EXPECT_GE(Clock::now() - start, 500ms) << "one at once, five at ten a second";
  EXPECT_EQ(server.requests().size(), 6U);
}

}  // namespace
}  // namespace pyroscope::internal
