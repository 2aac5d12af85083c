// fork, exec, exit and thread ends while a profile runs.

#include <gtest/gtest.h>
#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <spawn.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/busy.h"
#include "tests/support/process.h"

namespace pprof {
namespace {

bool Discard(std::string_view) { return true; }

void ExpectCleanExit(int status) {
  ASSERT_NE(status, -1) << "the child hung";
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Fork, ChildIsSilentStopIsAnErrorAtOnceAndItMayStartItsOwn) {
  auto profile = StartCpuProfile(Discard);
  ASSERT_TRUE(profile.ok());
  const test::BusyThreads load(2);
  test::BurnMs(100);
  for (int i = 0; i < 20; ++i) {
    ExpectCleanExit(test::RunInChild([&]() -> int {
      const std::uint64_t before = ReadStats().deliveries;
      test::BurnMs(60);
      if (ReadStats().deliveries != before) return 1;  // no timer came along
      if (profile->Stop().code != Status::Code::kStopped) return 2;
      std::string bytes;
      auto own = StartCpuProfile([&](std::string_view piece) {
        bytes += piece;
        return true;
      });
      if (!own.ok()) return 3;
      // The kernel looks at CPU-time timers in its ticks, which a thread of a busy machine may miss
      // for a while.
      for (int more = 0; more < 30 && ReadStats().deliveries == before; ++more) test::BurnMs(100);
      if (!own->Stop().ok() || bytes.size() < 100) return 4;
      return ReadStats().deliveries > before ? 0 : 5;
    }));
  }
  EXPECT_TRUE(profile->Stop().ok());
}

// Its record, with a timer of the parent in it, goes along.
TEST(Fork, ChildOfALabelledThreadIsSampledByItsOwnProfile) {
  ExpectCleanExit(test::RunInChild([]() -> int {
    auto profile = StartCpuProfile(Discard);
    if (!profile.ok()) return 1;
    LabelScope scope(Labels({{"k", "v"}}));
    test::BurnMs(30);
    const int status = test::RunInChild([]() -> int {
      const std::uint64_t before = ReadStats().deliveries;
      auto own = StartCpuProfile(Discard, {1000});
      if (!own.ok()) return 2;
      for (int i = 0; i < 100 && ReadStats().deliveries == before; ++i) test::BurnMs(20);
      if (!own->Stop().ok()) return 3;
      return ReadStats().deliveries > before ? 0 : 4;
    });
    return WIFEXITED(status) ? WEXITSTATUS(status) : 5;
  }));
}

TEST(Fork, LabelsOfTheForkingThreadStayUsableInTheChild) {
  LabelScope scope(Labels({{"k", "v"}}));
  ExpectCleanExit(test::RunInChild([]() -> int {
    const LabelSet now = CurrentLabels().labels();
    if (now.Get("k") != "v") return 1;
    std::thread other([] { LabelScope inner(Labels({{"x", "y"}})); });
    other.join();
    LabelScope inner(Labels({{"k", "w"}}));
    return CurrentLabels().labels().Get("k") == "w" ? 0 : 2;
  }));
}

TEST(Fork, ExecAndSpawnUnderLoadAlwaysReachTheNewProgram) {
  auto profile = StartCpuProfile(Discard, {1000});
  ASSERT_TRUE(profile.ok());
  const test::BusyThreads load(2);
  for (int i = 0; i < 100; ++i) {
    ExpectCleanExit(test::RunInChild([]() -> int {
      execl("/bin/true", "true", static_cast<char*>(nullptr));
      return 1;
    }));
    pid_t spawned = 0;
    char name[] = "true";
    char* const argv[] = {name, nullptr};
    ASSERT_EQ(posix_spawn(&spawned, "/bin/true", nullptr, nullptr, argv, environ), 0);
    int status = 0;
    ASSERT_EQ(waitpid(spawned, &status, 0), spawned);
    ExpectCleanExit(status);
  }
  ExpectCleanExit(std::system("true"));
  EXPECT_TRUE(profile->Stop().ok());
}

TEST(Exit, WhileThreadsAreBusyAndAProfileRuns) {
  for (int i = 0; i < 20; ++i) {
    ExpectCleanExit(test::RunInChild([]() -> int {
      static auto* const profile = new Result<CpuProfile>(StartCpuProfile(Discard, {1000}));
      if (!profile->ok()) return 1;
      for (int k = 0; k < 3; ++k) {
        std::thread([] {
          LabelScope scope(Labels({{"k", "v"}}));
          for (;;) test::Spin();
        }).detach();
      }
      test::BurnMs(20);
      std::exit(0);  // atexit handlers and static destructors run under signals
    }));
  }
}

// Stopped by a static destructor, after main has returned.
std::optional<CpuProfile> g_static_profile;

TEST(Exit, ProfileThatIsStoppedInStaticDestruction) {
  ExpectCleanExit(test::RunInChild([]() -> int {
    auto profile = StartCpuProfile(testing::TempDir() + "static.pb.gz");
    if (!profile.ok()) return 1;
    g_static_profile.emplace(std::move(*profile));
    test::BurnMs(50);
    std::exit(0);
  }));
}

TEST(Threads, ThatEndAndBeginUnderSamplingLeaveNoTimerBehind) {
  auto profile = StartCpuProfile(Discard, {1000});
  ASSERT_TRUE(profile.ok());
  for (int round = 0; round < 200; ++round) {
    std::vector<std::thread> threads;
    for (int k = 0; k < 8; ++k) {
      threads.emplace_back([k] {
        std::optional<LabelScope> scope;
        if (k % 2 == 0) scope.emplace(Labels({{"k", "v"}}));
        test::BurnCpu(200000);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  test::BurnMs(2500);  // a full scan reaps what had no exit hook
  EXPECT_LE(test::CountTimers(), 3);
  EXPECT_TRUE(profile->Stop().ok());
  EXPECT_LE(test::CountTimers(), 0);
}

// Threads that wait until this object goes.
class WaitingThreads {
 public:
  WaitingThreads(int count, bool labelled) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this, labelled] {
        std::optional<LabelScope> scope;
        if (labelled) scope.emplace(Labels({{"k", "v"}}));
        while (!stop_) usleep(10000);
      });
    }
  }
  ~WaitingThreads() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

// Waits until scans have found so many threads; false: not within ten seconds.
bool Finds(std::uint64_t threads) {
  for (int i = 0; i < 1000 && ReadStats().threads_scanned < threads; ++i) usleep(10000);
  return ReadStats().threads_scanned >= threads;
}

TEST(Threads, WithoutALabelAreFoundAmongHundredsThatHaveOne) {
  auto profile = StartCpuProfile(Discard);
  ASSERT_TRUE(profile.ok());
  const WaitingThreads labelled(300, true);
  usleep(500000);  // a scan may find some of them before they have their label
  const std::uint64_t found = ReadStats().threads_scanned;
  const WaitingThreads others(100, false);
  EXPECT_TRUE(Finds(found + 100));
  EXPECT_TRUE(profile->Stop().ok());
}

// Though there are as many as before.
TEST(Threads, WithoutALabelAreFoundWhereAnotherEnded) {
  auto profile = StartCpuProfile(Discard);
  ASSERT_TRUE(profile.ok());
  const std::uint64_t before = ReadStats().threads_scanned;
  const WaitingThreads others(100, false);
  ASSERT_TRUE(Finds(before + 100));
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t found = ReadStats().threads_scanned;
    const WaitingThreads one(1, false);
    EXPECT_TRUE(Finds(found + 1)) << i;
  }
  EXPECT_TRUE(profile->Stop().ok());
}

TEST(StartStop, ThousandTimesUnderLoad) {
  const test::BusyThreads load(2);
  for (int i = 0; i < 1000; ++i) {
    auto profile = StartCpuProfile(Discard, {1000});
    ASSERT_TRUE(profile.ok()) << profile.status().message;
    if (i % 10 == 0) test::BurnMs(1);
    ASSERT_TRUE(profile->Stop().ok());
  }
  EXPECT_LE(test::CountTimers(), 0);
}

TEST(StartStop, FromManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        auto profile = StartCpuProfile(Discard);
        test::BurnCpu(500000);
        if (!profile.ok() || !profile->Stop().ok()) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures.load(), 0);
  EXPECT_LE(test::CountTimers(), 0);
}

TEST(Threads, ThatEndUnseenHaveAFrame) {
  auto profile = StartCpuProfile(Discard);
  ASSERT_TRUE(profile.ok());
  const std::uint64_t before = ReadStats().samples_threads_unseen;
  for (int i = 0; i < 300; ++i)
    std::thread([] { test::BurnMs(1); }).join();  // no label, no time for a scan
  ASSERT_TRUE(profile->Stop().ok());
  EXPECT_GT(ReadStats().samples_threads_unseen - before, 10u);
}

TEST(Timers, RefusedByTheKernelAreCountedAndTheHostGoesOn) {
  ExpectCleanExit(test::RunInChild([]() -> int {
    const rlimit few = {3, 3};
    if (setrlimit(RLIMIT_SIGPENDING, &few) != 0) return 1;
    const test::BusyThreads load(6);
    usleep(50000);
    auto profile = StartCpuProfile(Discard);
    if (!profile.ok()) {  // the limit is shared with other processes of this user: perhaps none was
                          // left
      return profile.status().code == Status::Code::kUnavailable &&
                     profile.status().message.find("RLIMIT_SIGPENDING") != std::string::npos
                 ? 0
                 : 2;
    }
    test::BurnMs(200);
    if (ReadStats().timers_refused < 4) return 3;
    if (!profile->Stop().ok()) return 4;
    return ReadStats().samples_timer_refused > 10 ? 0 : 5;  // their CPU time has a frame
  }));
}

}  // namespace
}  // namespace pprof
