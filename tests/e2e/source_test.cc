// What ProfileSource promises to those who ship profiles: windows without gap or overlap, the
// libraries' own threads kept out.

#include <gtest/gtest.h>
#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pprof/profile_source.h>
#include <pprof/stats.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/busy.h"
#include "tests/support/complete_stacks.h"
#include "tests/support/pprof_reader.h"

namespace pprof {
namespace {

// What timers delivered, to work under that label if one is named. The profiler's own frames
// ("[not sampled: ...]") are left out: they stand for CPU time that is found in the books later, in
// whichever window is open then.
std::int64_t DeliveredIn(std::string_view gzip, std::string_view label = {}) {
  std::string error;
  const auto profile = pprof_reader::Read(gzip, &error);
  EXPECT_TRUE(profile.has_value()) << error;
  std::int64_t sum = 0;
  if (!profile) return sum;
  for (const auto& sample : profile->samples) {
    const bool own = sample.frames.size() == 1 && sample.frames[0].function.substr(0, 1) == "[";
    if (!own && (label.empty() || sample.labels.count(label) != 0)) sum += sample.count;
  }
  return sum;
}

std::int64_t DeliveredIn(const EncodedWindow& window, std::string_view label = {}) {
  std::int64_t sum = 0;
  for (const EncodedProfile& profile : window.profiles) sum += DeliveredIn(profile.gzip, label);
  return sum;
}

// Works under the label on three threads until `stop`.
class LabelledWork {
 public:
  LabelledWork() {
    for (int i = 0; i < 3; ++i) {
      threads_.emplace_back([this] {
        const LabelScope scope(Labels({{"work", "here"}}));
        while (!stop_) test::Spin();
      });
    }
  }
  ~LabelledWork() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

TEST(ProfileSource, WindowsThatFollowEachOtherHoldEverySampleOnce) {
  std::string whole;
  // Opened before the windows and stopped after them, and the work lies within them: what the
  // windows hold beyond it was counted twice, what they lack was dropped. (The caller's own CPU
  // time for opening and encoding windows is partly outside of all of them: it has no label.)
  auto reference = StartCpuProfile([&](std::string_view bytes) {
    whole += bytes;
    return true;
  });
  auto window = CpuProfileSource().Open(100);
  ASSERT_TRUE(reference.ok() && window.ok());
  std::int64_t sum = 0;
  std::int64_t last_time_ns = 0;
  {
    const LabelledWork work;
    for (int i = 0; i < 20; ++i) {
      test::BurnMs(60);
      auto cut = (*window)->Cut({});
      ASSERT_TRUE(cut.ok()) << cut.status().message;
      sum += DeliveredIn(*cut, "work");
      EXPECT_GT(cut->profiles.front().time_ns, last_time_ns);
      last_time_ns = cut->profiles.front().time_ns;
    }
  }
  auto rest = (*window)->Stop({});
  ASSERT_TRUE(rest.ok() && reference->Stop().ok());
  sum += DeliveredIn(*rest, "work");
  EXPECT_GT(sum, 100);
  EXPECT_EQ(sum, DeliveredIn(whole, "work"));
}

TEST(ProfileSource, StoppedWindowSaysSo) {
  auto window = CpuProfileSource().Open(100);
  ASSERT_TRUE(window.ok());
  EXPECT_EQ((*window)->rate(), 100);
  EXPECT_TRUE((*window)->Stop({}).ok());
  EXPECT_EQ((*window)->Stop({}).status().code, Status::Code::kStopped);
  EXPECT_EQ((*window)->Cut({}).status().code, Status::Code::kStopped);
  EXPECT_EQ(CpuProfileSource().Open(0).status().code, Status::Code::kInvalidArgument);
}

TEST(ProfileSource, DiscardedWindowEndsSampling) {
  {
    auto window = CpuProfileSource().Open(1000);
    ASSERT_TRUE(window.ok());
  }
  // The next one may choose its rate: nothing runs any more.
  auto window = CpuProfileSource().Open(50);
  ASSERT_TRUE(window.ok());
  EXPECT_EQ((*window)->rate(), 50);
}

TEST(ProfileSource, WindowOfTheParentIsStoppedInAForkChild) {
  auto window = CpuProfileSource().Open(100);
  ASSERT_TRUE(window.ok());
  const pid_t child = fork();
  if (child == 0) {
    const bool stopped = (*window)->Cut({}).status().code == Status::Code::kStopped;
    *window = nullptr;  // discarding it there must not hang either
    _exit(stopped ? 0 : 1);
  }
  int state = 0;
  ASSERT_EQ(waitpid(child, &state, 0), child);
  EXPECT_TRUE(WIFEXITED(state) && WEXITSTATUS(state) == 0);
  EXPECT_TRUE((*window)->Cut({}).ok());
}

TEST(LibraryThread, IsNotSampledAndItsCpuTimeIsTheLibrarys) {
  auto window = CpuProfileSource().Open(100);
  ASSERT_TRUE(window.ok());
  const Stats before = ReadStats();
  sigset_t all;
  sigset_t old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  std::thread thread([] {
    const LibraryThread own;
    test::BurnMs(600);
  });
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  thread.join();
  const Stats after = ReadStats();
  EXPECT_GE(after.library_cpu_ns - before.library_cpu_ns, 590000000u);
  auto stopped = (*window)->Stop({});
  ASSERT_TRUE(stopped.ok());
  EXPECT_LE(DeliveredIn(*stopped), 5) << "600 ms of it would be 60 samples";
}

[[maybe_unused]] const auto* const g_complete_stacks =
    testing::AddGlobalTestEnvironment(new test::CompleteStacks);

}  // namespace
}  // namespace pprof
