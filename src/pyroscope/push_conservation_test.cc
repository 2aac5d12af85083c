// Nothing is lost without being counted: random faults, then the sum.

#include <gtest/gtest.h>
#include <pyroscope/pyroscope.h>
#include <pyroscope/stats.h>

#include <chrono>
#include <mutex>
#include <random>
#include <set>
#include <string>

#include "src/pyroscope/push_test_fakes.h"
#include "src/pyroscope/push_test_server.h"

namespace pyroscope::internal {
namespace {

using namespace std::chrono_literals;

// Keeps some of what it is sent and misbehaves at random.
class FaultyServer {
 public:
  explicit FaultyServer(std::uint64_t seed)
      : random_(seed), server_([this](const TestRequest& r, TestConnection& c) { Serve(r, c); }) {}

  std::string url() const { return server_.url(); }
  std::size_t Kept() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return kept_.size();
  }

 private:
  void Serve(const TestRequest& request, TestConnection& connection) {
    int dice = 0;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      dice = static_cast<int>(random_() % 16);
      const bool keep = dice < 6 || dice == 9 || dice == 10 || dice == 12;
      if (keep) kept_.insert(DecodePush(request.body).profile);
    }
    if (dice < 6) {
      connection.Accept();
    } else {
      Misbehave(dice, connection);
    }
  }

  static void Misbehave(int dice, TestConnection& connection) {
    switch (dice) {
      case 6:
        connection.Answer(400, "application/json", "{}");
        break;
      case 7:
        connection.Answer(500, "application/json", "{}");
        break;
      case 8:
        connection.Answer(429, "text/plain", "");
        break;
      case 9:  // kept, and the answer is lost
      case 13:
        connection.Reset();
        break;
      case 10:
        connection.Send("HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-");
        connection.Close();
        break;
      case 11:
        connection.Answer(503, "text/html", "<html>");
        break;
      case 12:  // a gateway that lost patience
        connection.Answer(504, "text/plain", "");
        break;
      case 14:
        connection.Hang();
        break;
      default:
        connection.Answer(200, "text/html", "<html>");
    }
  }

  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  std::set<std::string> kept_;
  TestServer server_;
};

TEST(PushConservation, TheSumIsRightUnderRandomFaults) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    FaultyServer server(seed);
    FakeSource source;
    Tuning tuning = FastTuning();
    tuning.http.total = 60ms;
    tuning.max_tries_that_count = 3;
    tuning.queue_bytes = 20000;  // overflows now and then
    const StatsSince stats;
    auto profiler = StartWith(ConfigFor(server.url()), Variables({}), source, tuning);
    ASSERT_TRUE(profiler.ok());
    std::mt19937_64 random(seed);
    for (int i = 0; i < 60; ++i) {
      static_cast<void>(profiler->Flush(std::chrono::milliseconds(random() % 20)));
    }
    static_cast<void>(profiler->Stop(std::chrono::milliseconds(seed % 2 == 0 ? 5 : 10000)));
    const Stats now = stats.Now();
    EXPECT_EQ(now.profiles_queued, 0U);
    EXPECT_EQ(now.profiles_taken, now.profiles_accepted + now.profiles_lost + now.profiles_unknown);
    EXPECT_EQ(now.samples_taken, now.samples_accepted + now.samples_lost + now.samples_unknown);
    EXPECT_LE(now.profiles_taken - now.profiles_lost - now.profiles_unknown, server.Kept());
    EXPECT_LE(server.Kept(), now.profiles_taken - now.profiles_lost);
    EXPECT_GT(now.profiles_accepted, 0U);
    EXPECT_GT(now.profiles_lost + now.profiles_unknown, 0U) << "or the faults did not happen";
  }
}

}  // namespace
}  // namespace pyroscope::internal
