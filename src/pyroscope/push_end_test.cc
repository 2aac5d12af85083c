// The ways a profiler ends: Stop with little time, exit() with one alive, fork().

#include <gtest/gtest.h>
#include <pyroscope/pyroscope.h>
#include <pyroscope/stats.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "src/pyroscope/push_test_fakes.h"
#include "src/pyroscope/push_test_server.h"
#include "tests/support/process.h"

namespace pyroscope::internal {
namespace {

using namespace std::chrono_literals;
using pprof::Status;

void AcceptAll(const TestRequest&, TestConnection& connection) { connection.Accept(); }
void Hang(const TestRequest&, TestConnection& connection) { connection.Hang(); }

pprof::Result<Profiler> StartTest(const std::string& url, FakeSource& source,
                                  const Tuning& tuning = FastTuning()) {
  return StartWith(ConfigFor(url), Variables({}), source, tuning);
}

Tuning Patient() {
  Tuning tuning = FastTuning();
  tuning.http.total = 60s;
  return tuning;
}

TEST(PushEnd, StopKeepsItsDeadlineAndSaysWhatIsLost) {
  TestServer server(Hang);
  FakeSource source;
  source.Lay({FakeSource::Profile("a", 3), FakeSource::Profile("b", 4)});
  const StatsSince stats;
  auto profiler = StartTest(server.url(), source, Patient());
  ASSERT_TRUE(profiler.ok());
  const auto start = Clock::now();
  const Status stopped = profiler->Stop(200ms);
  const auto took = Clock::now() - start;
  EXPECT_GE(took, 200ms);
  EXPECT_LT(took, 10s);
  EXPECT_EQ(stopped.code, Status::Code::kTimeout);
  EXPECT_NE(stopped.message.find("2 profiles (7 samples"), std::string::npos) << stopped.message;
  EXPECT_NE(stopped.message.find("within 200 ms"), std::string::npos) << stopped.message;
  EXPECT_EQ(stats.Now().profiles_unknown, 1U) << "it was sent, no answer came";
  EXPECT_EQ(stats.Now().profiles_lost_unsent, 1U);
  EXPECT_EQ(stats.Now().profiles_queued, 0U);
  EXPECT_EQ(stats.Now().queue_bytes, 0U);
  EXPECT_EQ(ClientThreads(), 0);
}

TEST(PushEnd, StopTriesAtOnceWhatWaitsForARetry) {
  std::atomic<bool> accept{false};
  TestServer server([&](const TestRequest&, TestConnection& connection) {
    if (accept) {
      connection.Accept();
    } else {
      connection.Answer(503, "text/plain", "", "Retry-After: 300\r\n");
    }
  });
  FakeSource source;
  const StatsSince stats;
  auto profiler = StartTest(server.url(), source);
  ASSERT_TRUE(profiler.ok());
  EXPECT_EQ(profiler->Flush(300ms).code, Status::Code::kTimeout);
  EXPECT_EQ(stats.Now().attempts, 1U);
  accept = true;
  EXPECT_TRUE(profiler->Stop(30s).ok());
  EXPECT_EQ(stats.Now().profiles_accepted, 2U);
}

TEST(PushEnd, StopDoesNotWaitForATryAfterItsDeadline) {
  TestServer server([](const TestRequest&, TestConnection& connection) {
    connection.Answer(503, "text/plain", "", "Retry-After: 300\r\n");
  });
  FakeSource source;
  auto profiler = StartTest(server.url(), source);
  ASSERT_TRUE(profiler.ok());
  const auto start = Clock::now();
  const Status stopped = profiler->Stop(60s);
  EXPECT_LT(Clock::now() - start, 30s);
  EXPECT_EQ(stopped.code, Status::Code::kTimeout);
  EXPECT_NE(stopped.message.find("HTTP 503"), std::string::npos) << stopped.message;
}

TEST(PushEnd, StopDoesNotWaitForAWindowThatIsSlowToRead) {
  TestServer server(AcceptAll);
  FakeSource source;
  std::atomic<bool> go{false};
  source.OnCut([&] {
    while (!go) std::this_thread::sleep_for(1ms);
  });
  const StatsSince stats;
  auto profiler = StartTest(server.url(), source);
  ASSERT_TRUE(profiler.ok());
  const Status stopped = profiler->Stop(50ms);
  EXPECT_EQ(stopped.code, Status::Code::kTimeout);
  EXPECT_NE(stopped.message.find("and the last window"), std::string::npos) << stopped.message;
  go = true;
  while (source.closed() == 0) std::this_thread::sleep_for(1ms);
  while (stats.Now().profiles_taken == 0) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(stats.Now().profiles_lost_unsent, 1U);
  while (ClientThreads() > 0) std::this_thread::sleep_for(1ms);
}

TEST(PushEnd, WithoutTimeTheLastWindowIsDiscarded) {
  TestServer server(AcceptAll);
  FakeSource source;
  const StatsSince stats;
  auto profiler = StartTest(server.url(), source);
  ASSERT_TRUE(profiler.ok());
  EXPECT_EQ(profiler->Stop(0ms).code, Status::Code::kTimeout);
  EXPECT_EQ(source.closed(), 1);
  EXPECT_EQ(source.cuts(), 0);
  EXPECT_EQ(stats.Now().windows_failed, 1U);
}

TEST(PushEnd, ManyThreadsMayStopAndFlush) {
  TestServer server(AcceptAll);
  FakeSource source;
  auto profiler = StartTest(server.url(), source);
  ASSERT_TRUE(profiler.ok());
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      const Status flushed = profiler->Flush(30s);
      EXPECT_TRUE(flushed.ok() || flushed.code == Status::Code::kStopped) << flushed.message;
      EXPECT_NE(profiler->SetTags({{"n", std::to_string(i)}}).code, Status::Code::kInvalidArgument);
      if (i % 2 == 0) {
        EXPECT_TRUE(profiler->Stop(30s).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(profiler->running());
  EXPECT_EQ(source.closed(), 1);
}

TEST(PushEnd, ALogHandlerMayStop) {
  TestServer server([](const TestRequest&, TestConnection& connection) {
    connection.Answer(403, "text/plain", "no");
  });
  FakeSource source;
  auto profiler = StartTest(server.url(), source);
  ASSERT_TRUE(profiler.ok());
  std::atomic<bool> stopped{false};
  pprof::SetLogHandler([&](pprof::LogLevel, std::string_view) {
    if (!stopped.exchange(true)) static_cast<void>(profiler->Stop(100ms));
  });
  static_cast<void>(profiler->Flush(30s));
  while (!stopped || profiler->running()) std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(profiler->Stop(30s).ok());
  while (ClientThreads() > 0) std::this_thread::sleep_for(1ms);
  pprof::SetLogHandler(nullptr);
}

// A child process that is told the port of a server which the parent starts after fork(), so that
// the child comes from a process with one thread.
class Child {
 public:
  explicit Child(const std::function<int(const std::string& url)>& body) {
    if (pipe(pipe_) != 0) std::abort();
    std::fflush(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    std::uint16_t port = 0;
    if (read(pipe_[0], &port, sizeof port) != sizeof port) _exit(99);
    // exit() and not _exit(): what it does is the question.
    std::exit(body("http://127.0.0.1:" + std::to_string(port)));
  }
  void Tell(const TestServer& server) {
    const std::uint16_t port = server.port();
    if (write(pipe_[1], &port, sizeof port) != sizeof port) std::abort();
  }
  void Signal(int signal) const { kill(pid_, signal); }
  // Its exit status, -1 if it hung, -2 if a signal ended it.
  int Wait() {
    for (int waited = 0; waited < 6000; ++waited) {
      int status = 0;
      if (waitpid(pid_, &status, WNOHANG) == pid_) {
        return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
      }
      std::this_thread::sleep_for(10ms);
    }
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    return -1;
  }

 private:
  int pipe_[2] = {-1, -1};
  pid_t pid_ = -1;
};

FakeSource& LeakedSource() {
  static auto* const source = new FakeSource();
  return *source;
}

TEST(PushEnd, ExitSendsTheLastWindowOfALeakedProfiler) {
  Child child([](const std::string& url) {
    static auto* const leaked =
        new pprof::Result<Profiler>(StartTest(url, LeakedSource(), Patient()));
    return leaked->ok() ? 0 : 1;
  });
  TestServer server(AcceptAll);
  child.Tell(server);
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST(PushEnd, ExitSendsTheLastWindowOfAStaticProfiler) {
  Child child([](const std::string& url) {
    static const pprof::Result<Profiler> kept = StartTest(url, LeakedSource(), Patient());
    return kept.ok() ? 0 : 1;
  });
  TestServer server(AcceptAll);
  child.Tell(server);
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST(PushEnd, ExitDoesNotHangOnAServerThatDoes) {
  Child child([](const std::string& url) {
    static auto* const leaked =
        new pprof::Result<Profiler>(StartTest(url, LeakedSource(), Patient()));
    return leaked->ok() ? 0 : 1;
  });
  TestServer server(Hang);
  child.Tell(server);
  const auto start = Clock::now();
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_LT(Clock::now() - start, 20s) << "five seconds, and what a busy machine adds";
}

// The documented pattern: the signal handler writes to a pipe, an ordinary thread stops.
TEST(PushEnd, SigtermShutdown) {
  Child child([](const std::string& url) {
    static int wake[2] = {-1, -1};
    if (pipe(wake) != 0) return 2;
    std::signal(SIGTERM, [](int) {
      const char byte = 0;
      if (write(wake[1], &byte, 1) != 1) _exit(3);
    });
    auto profiler = StartTest(url, LeakedSource(), Patient());
    if (!profiler.ok() || !profiler->Flush(30s).ok()) return 4;
    char byte = 0;
    while (read(wake[0], &byte, 1) != 1) {
    }
    return profiler->Stop(30s).ok() ? 0 : 5;
  });
  TestServer server(AcceptAll);
  child.Tell(server);
  ASSERT_TRUE(server.WaitForRequests(1));
  child.Signal(SIGTERM);
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_EQ(server.requests().size(), 2U);
}

#if !defined(__SANITIZE_THREAD__)  // which does not allow threads after a fork of many
int GrandchildOfRunningProfiler(const std::string& url, Profiler& inherited) {
  if (inherited.running() || inherited.Stop(30s).code != Status::Code::kStopped ||
      inherited.Flush(30s).code != Status::Code::kStopped ||
      inherited.SetTags({}).code != Status::Code::kStopped) {
    return 10;
  }
  if (ReadStats().profiles_taken != 0 || ClientThreads() != 0) return 11;
  Config config = ConfigFor(url);
  config.tags = {{"process", "child"}};
  auto own = StartWith(config, Variables({}), LeakedSource(), Patient());
  if (!own.ok()) return 12;
  return own->Stop(30s).ok() && ReadStats().profiles_accepted == 1 ? 0 : 13;
}

TEST(PushEnd, AForkChildIsSilentAndMayStartItsOwn) {
  Child child([](const std::string& url) {
    auto profiler = StartTest(url, LeakedSource(), Patient());
    if (!profiler.ok() || !profiler->Flush(30s).ok()) return 2;
    const int status = test::RunInChild([&] {
      const int result = GrandchildOfRunningProfiler(url, *profiler);
      Profiler ended = std::move(*profiler);  // destroyed here
      return result;
    });
    if (status != 0) return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
    return profiler->running() && profiler->Stop(30s).ok() ? 0 : 4;
  });
  TestServer server(AcceptAll);
  child.Tell(server);
  EXPECT_EQ(child.Wait(), 0);
  int from_child = 0;
  for (const TestRequest& request : server.requests()) {
    from_child += static_cast<int>(DecodePush(request.body).labels.count("process"));
  }
  EXPECT_EQ(from_child, 1);
  EXPECT_EQ(server.requests().size(), 3U);
}
#endif

}  // namespace
}  // namespace pyroscope::internal
