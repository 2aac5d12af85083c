// Truth of totals: what a profile says against what the kernel's CPU clocks say.

#include <gtest/gtest.h>
#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pprof/stats.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/busy.h"
#include "tests/support/complete_stacks.h"
#include "tests/support/pprof_reader.h"

namespace pprof {
namespace {

constexpr std::int64_t kTickNs = 4000000;  // of a kernel with HZ=250; shorter ticks only help
constexpr double kTolerance = 0.01;
#if defined(OTELPROF_EMULATED)
constexpr std::int64_t kUnitNs = 1000000000;
#else
constexpr std::int64_t kUnitNs = 4000000000;
#endif

// Frames that stand for CPU time that was missed are left out; the exit correction counts.
bool StandsForLoss(const pprof_reader::Sample& sample) {
  return sample.HasFunction("[lost") || sample.HasFunction("[not sampled");
}

struct Measured {
  std::int64_t process_ns = 0;                    // CPU clock of the process less the collector's
  std::map<std::string, std::int64_t> thread_ns;  // by label `thread`: its own CPU clock
  std::int64_t profile_ns = 0;
  std::map<std::string, std::int64_t> profile_thread_ns;
  std::int64_t period_ns = 0;
  // Of profile_ns: samples that stand for CPU time read from clocks of threads that ended, and for
  // what those threads are only estimated to have used after that.
  std::int64_t exit_measured_ns = 0;
  std::int64_t exit_estimated_ns = 0;
  std::int64_t unseen_ns = 0;  // not in profile_ns
};

// Runs `work` under a profile of `rate`; it reports each labelled thread's CPU time.
template <class Work>
Measured Measure(int rate, Work&& work) {
  Measured measured;
  std::string bytes;
  auto profile = StartCpuProfile(
      [&](std::string_view piece) {
        bytes += piece;
        return true;
      },
      {rate});
  EXPECT_TRUE(profile.ok()) << profile.status().message;
  // From here on: before, StartCpuProfile read the unwind tables of all modules, unsampled.
  const std::uint64_t library_before = ReadStats().library_cpu_ns;
  const std::int64_t cpu_before = test::ProcessCpuNs();
  work(measured);
  measured.process_ns = test::ProcessCpuNs() - cpu_before;
  measured.process_ns -= static_cast<std::int64_t>(ReadStats().library_cpu_ns - library_before);
  EXPECT_TRUE(profile->Stop().ok());
  std::string error;
  const auto read = pprof_reader::Read(bytes, &error);
  EXPECT_TRUE(read.has_value()) << error;
  if (!read.has_value()) return measured;
  measured.period_ns = read->period_ns;
  for (const pprof_reader::Sample& sample : read->samples) {
    if (sample.HasFunction("[not sampled: threads that ended unseen]")) {
      measured.unseen_ns += sample.cpu_ns;
    }
    if (StandsForLoss(sample)) continue;
    if (sample.HasFunction("[thread exit correction]")) measured.exit_measured_ns += sample.cpu_ns;
    if (sample.HasFunction("[thread exit, estimated]")) measured.exit_estimated_ns += sample.cpu_ns;
    measured.profile_ns += sample.cpu_ns;
    const std::string thread(sample.Label("thread"));
    if (!thread.empty()) measured.profile_thread_ns[thread] += sample.cpu_ns;
  }
  return measured;
}

// True if every thread and the total are within their tolerance; says why not.
bool Agrees(const Measured& measured, std::int64_t live_threads) {
  bool fine = true;
  const auto check = [&](const std::string& what, std::int64_t is, std::int64_t expected,
                         std::int64_t slack) {
    const double allowed = kTolerance * static_cast<double>(expected) + static_cast<double>(slack);
    if (std::abs(static_cast<double>(is - expected)) <= allowed) return;
    fine = false;
    std::printf("  %s: profile %.1f ms, clock %.1f ms, allowed +-%.1f ms\n", what.c_str(),
                static_cast<double>(is) / 1e6, static_cast<double>(expected) / 1e6, allowed / 1e6);
  };
  for (const auto& [thread, cpu] : measured.thread_ns) {
    const auto found = measured.profile_thread_ns.find(thread);
    check("thread " + thread, found == measured.profile_thread_ns.end() ? 0 : found->second, cpu,
          measured.period_ns + kTickNs);
  }
  const auto total = static_cast<double>(measured.process_ns);
  const auto periods = static_cast<double>(live_threads * measured.period_ns);
  // Within 1 % or one period a live thread, whichever is larger.
  check("total", measured.profile_ns, measured.process_ns,
        static_cast<std::int64_t>(std::fmax(0, periods - kTolerance * total)));
  const auto part = [&](std::int64_t ns) { return static_cast<double>(ns) / total; };
  std::printf(
      "  ratio %.4f over %.1f s of CPU time; of it exits by measurement %.4f, by estimate %.4f\n",
      part(measured.profile_ns), total / 1e9, part(measured.exit_measured_ns),
      part(measured.exit_estimated_ns));
  return fine;
}

// Chance has a say: a failure must repeat with twice the work.
template <class Attempt>
void RetryWithMoreWork(Attempt&& attempt) {
  for (const int factor : {1, 2, 4}) {
    if (attempt(factor)) return;
    std::printf("  again with more work\n");
  }
  FAIL() << "profile and clock disagree, see above";
}

using Work = void (*)(std::int64_t cpu_ns);

void Busy(std::int64_t cpu_ns) { test::BurnCpu(cpu_ns); }

// 0.1 ms on, 0.4 ms off.
void Bursts(std::int64_t cpu_ns) {
  const std::int64_t end = test::ThreadCpuNs() + cpu_ns;
  while (test::ThreadCpuNs() < end) {
    test::BurnCpu(100000);
    std::this_thread::sleep_for(std::chrono::microseconds(400));
  }
}

struct ThreadPlan {
  const char* label;
  Work work;
  int share;  // of the smallest thread's CPU time
};

// Two equal threads, a 1:3:9 split and two bursty ones, all at once.
constexpr ThreadPlan kPlans[] = {
    {"equal-1", Busy, 1}, {"equal-2", Busy, 1},    {"split-1", Busy, 1},   {"split-3", Busy, 3},
    {"split-9", Busy, 9}, {"bursts-1", Bursts, 1}, {"bursts-2", Bursts, 1}};

void RunPlans(std::int64_t unit_ns, Measured& measured) {
  std::vector<std::thread> threads;
  std::vector<std::int64_t> used(std::size(kPlans));
  for (std::size_t i = 0; i < std::size(kPlans); ++i) {
    threads.emplace_back([&, i] {
      const ThreadPlan& plan = kPlans[i];
      LabelScope scope(Labels({{"thread", plan.label}}));
      const std::int64_t start = test::ThreadCpuNs();
      plan.work(plan.share * unit_ns);
      used[i] = test::ThreadCpuNs() - start;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < std::size(kPlans); ++i) measured.thread_ns[kPlans[i].label] = used[i];
}

class TotalsAtRate : public testing::TestWithParam<int> {};

TEST_P(TotalsAtRate, EveryThreadAndTheSumAgreeWithTheClocks) {
  RetryWithMoreWork([&](int factor) {
    const std::int64_t unit_ns = factor * kUnitNs;
    const Measured measured = Measure(GetParam(), [&](Measured& into) { RunPlans(unit_ns, into); });
    return Agrees(measured, std::size(kPlans) + 1);
  });
}

INSTANTIATE_TEST_SUITE_P(Hz, TotalsAtRate, testing::Values(50, 100, 250, 1000));

class TotalsOfShortThreads : public testing::TestWithParam<int> {};

TEST_P(TotalsOfShortThreads, SumAgreesAlthoughMostThreadsNeverSeeATimerExpire) {
  RetryWithMoreWork([&](int factor) {
    const Measured measured = Measure(100, [&](Measured&) {
      for (int i = 0; i < 1000 * factor; ++i) {
        std::thread threads[2];
        for (std::thread& thread : threads) {
          thread = std::thread([] {
            LabelScope scope(Labels({{"kind", "short"}}));
            test::BurnMs(GetParam());
          });
        }
        for (std::thread& thread : threads) thread.join();
      }
    });
    return Agrees(measured, 1);
  });
}

INSTANTIATE_TEST_SUITE_P(Ms, TotalsOfShortThreads, testing::Values(1, 2, 5));

// Threads that never heard of us, as short as those that did, at the same time. None of their CPU
// time may pass for what the ends of the others cost.
TEST(Totals, CpuOfThreadsThatEndUnseenDoesNotHideInTheExitCorrection) {
  RetryWithMoreWork([&](int factor) {
    std::int64_t unseen_clock_ns = 0;
    const Measured measured = Measure(100, [&](Measured&) {
      for (int i = 0; i < 1500 * factor; ++i) {
        std::int64_t used = 0;
        std::thread unseen([&] {
          test::BurnMs(1);
          used = test::ThreadCpuNs();
        });
        std::thread seen([] {
          LabelScope scope(Labels({{"kind", "short"}}));
          test::BurnMs(1);
        });
        unseen.join();
        seen.join();
        unseen_clock_ns += used;
      }
    });
    const double share =
        static_cast<double>(measured.unseen_ns) / static_cast<double>(unseen_clock_ns);
    std::printf("  unseen threads by their own clocks %.2f s, their frame has %.4f of it\n",
                static_cast<double>(unseen_clock_ns) / 1e9, share);
    // More than 1: their starts and ends, which their own clocks do not show.
    return share >= 0.95 && share <= 1.1;
  });
}

TEST(Totals, OverlappingProfilesEachHoldTheirOwnWindow) {
  std::string first_bytes;
  std::string second_bytes;
  const auto into = [](std::string& bytes) {
    return [&bytes](std::string_view piece) {
      bytes += piece;
      return true;
    };
  };
  auto first = StartCpuProfile(into(first_bytes));
  const std::int64_t first_start = test::ProcessCpuNs();
  test::BurnMs(700);
  auto second = StartCpuProfile(into(second_bytes));
  const std::int64_t second_start = test::ProcessCpuNs();
  ASSERT_TRUE(first.ok() && second.ok());
  test::BurnMs(1500);
  const std::int64_t first_cpu = test::ProcessCpuNs() - first_start;
  ASSERT_TRUE(first->Stop().ok());
  const std::int64_t gap_start = test::ProcessCpuNs();
  test::BurnMs(900);
  const std::int64_t second_cpu = test::ProcessCpuNs() - second_start;
  ASSERT_TRUE(second->Stop().ok());
  const auto total = [](const std::string& bytes) {
    std::string error;
    std::int64_t sum = 0;
    const auto profile = pprof_reader::Read(bytes, &error);
    for (const auto& sample : profile->samples) sum += sample.cpu_ns;
    return sum;
  };
  const std::int64_t slack = 3 * 10000000 + (gap_start - first_start - first_cpu);
  EXPECT_NEAR(static_cast<double>(total(first_bytes)), static_cast<double>(first_cpu),
              static_cast<double>(slack));
  EXPECT_NEAR(static_cast<double>(total(second_bytes)), static_cast<double>(second_cpu),
              static_cast<double>(slack));
}

[[maybe_unused]] const auto* const g_complete_stacks =
    testing::AddGlobalTestEnvironment(new test::CompleteStacks);

}  // namespace
}  // namespace pprof
