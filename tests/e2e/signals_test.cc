// SIGPROF shared with the host: who gets which signal, and what the host's code notices.

#include <gtest/gtest.h>
#include <pprof/log.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <string>
#include <thread>

#include "tests/support/busy.h"
#include "tests/support/process.h"

namespace pprof {
namespace {

// Each test body runs in a fork child, so that the handler of one test is not in the way of the
// next.
#define IN_CHILD(body)                                               \
  do {                                                               \
    const int status = test::RunInChild([]() -> int {                \
      body();                                                        \
      return testing::Test::HasFailure() ? 1 : 0;                    \
    });                                                              \
    ASSERT_NE(status, -1) << "the child hung";                       \
    ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status); \
    EXPECT_EQ(WEXITSTATUS(status), 0);                               \
  } while (false)

bool Discard(std::string_view) { return true; }

std::atomic<int> g_foreign{0};
void CountForeign(int) { ++g_foreign; }
void CountForeignInfo(int, siginfo_t* info, void*) {
  if (info->si_code == SI_TKILL) ++g_foreign;
}

bool DefaultHandlerInPlace() {
  struct sigaction now = {};
  sigaction(SIGPROF, nullptr, &now);
  return now.sa_handler == SIG_DFL;
}

void NothingBeforeTheFirstProfile() {
  EXPECT_TRUE(DefaultHandlerInPlace());
  EXPECT_LE(test::CountTimers(), 0);
  EXPECT_EQ(test::CountThreads(), 1);
}

void NothingLeftAfterTheLast() {
  auto profile = StartCpuProfile(Discard);
  ASSERT_TRUE(profile.ok());
  EXPECT_NE(test::CountTimers(), 0);
  EXPECT_EQ(test::CountThreads(), 2);
  test::BurnMs(50);
  ASSERT_TRUE(profile->Stop().ok());
  EXPECT_LE(test::CountTimers(), 0);
  EXPECT_EQ(test::CountThreads(), 1);
  EXPECT_EQ(ReadStats().ring_bytes, 0u);
  EXPECT_FALSE(DefaultHandlerInPlace());  // a signal that is still pending must not kill
  raise(SIGPROF);
}

void ForeignSignalsReachThePreviousHandler() {
  struct sigaction theirs = {};
  theirs.sa_handler = CountForeign;
  sigaction(SIGPROF, &theirs, nullptr);
  auto profile = StartCpuProfile(Discard);
  ASSERT_TRUE(profile.ok());
  for (int i = 0; i < 10; ++i) raise(SIGPROF);
  EXPECT_EQ(g_foreign.load(), 10);
  const itimerval timer = {{0, 10000}, {0, 10000}};
  setitimer(ITIMER_PROF, &timer, nullptr);  // their own profiler
  test::BurnMs(500);
  const itimerval off = {};
  setitimer(ITIMER_PROF, &off, nullptr);
  EXPECT_GT(g_foreign.load(), 30);
  EXPECT_GE(ReadStats().foreign_signals, 30u);
  EXPECT_GT(ReadStats().samples, 30u);
  EXPECT_TRUE(profile->Stop().ok());
}

void ForeignSignalsKeepTheirInfo() {
  struct sigaction theirs = {};
  theirs.sa_sigaction = CountForeignInfo;
  theirs.sa_flags = SA_SIGINFO;
  sigaction(SIGPROF, &theirs, nullptr);
  auto profile = StartCpuProfile(Discard);
  ASSERT_TRUE(profile.ok());
  raise(SIGPROF);
  EXPECT_EQ(g_foreign.load(), 1);
}

void (*g_ours_action)(int, siginfo_t*, void*) = nullptr;
void ChainBack(int signal, siginfo_t* info, void* context) {
  ++g_foreign;
  g_ours_action(signal, info, context);
}

void TwoHandlersThatSaveEachOtherDoNotLoop() {
  struct sigaction theirs = {};
  theirs.sa_sigaction = ChainBack;
  theirs.sa_flags = SA_SIGINFO;
  sigaction(SIGPROF, &theirs, nullptr);
  auto profile = StartCpuProfile(Discard);
  ASSERT_TRUE(profile.ok());
  struct sigaction ours = {};
  sigaction(SIGPROF, nullptr, &ours);
  g_ours_action = ours.sa_sigaction;
  raise(SIGPROF);
  EXPECT_EQ(g_foreign.load(), 1);
}

void ReplacedHandlerIsTakenBackOnceThenSamplingStops() {
  std::string lines;
  SetLogHandler([&](LogLevel, std::string_view line) { lines += line; });
  auto profile = StartCpuProfile(Discard);
  ASSERT_TRUE(profile.ok());
  signal(SIGPROF, CountForeign);
  test::BurnMs(800);
  EXPECT_EQ(ReadStats().handler_replaced, 1u);
  EXPECT_NE(lines.find("taken back once"), std::string::npos);
  const std::uint64_t before = ReadStats().samples;
  test::BurnMs(300);
  EXPECT_GT(ReadStats().samples, before);
  signal(SIGPROF, CountForeign);
  test::BurnMs(800);
  EXPECT_EQ(ReadStats().handler_replaced, 2u);
  EXPECT_NE(lines.find("sampling is off"), std::string::npos);
  EXPECT_LE(test::CountTimers(), 0);
  const std::int64_t cpu_before = test::ProcessCpuNs();
  test::BurnMs(500);
  const std::int64_t used = test::ProcessCpuNs() - cpu_before;
  EXPECT_TRUE(profile->Stop().ok());
  // What is not sampled from then on has a frame.
  EXPECT_GE(ReadStats().samples_handler_taken, static_cast<std::uint64_t>(used / 10000000));
  SetLogHandler({});
}

void ErrnoSurvivesSamples() {
  auto profile = StartCpuProfile(Discard, {1000});
  ASSERT_TRUE(profile.ok());
  const std::int64_t end = test::ThreadCpuNs() + 500000000;
  while (test::ThreadCpuNs() < end) {
    errno = 4711;
    for (int i = 0; i < 100; ++i) test::Spin();
    ASSERT_EQ(errno, 4711);
  }
  EXPECT_GT(ReadStats().deliveries, 50u);
}

void SetSigprof(int how) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPROF);
  pthread_sigmask(how, &set, nullptr);
}

// CPU time of a thread that is never sampled is not lost: it stands under a frame.
void ThreadsThatBlockSigprofAreCounted() {
  std::atomic<bool> stop{false};
  std::atomic<std::int64_t> used_ns{0};
  std::thread blocked([&] {
    SetSigprof(SIG_BLOCK);
    while (!stop) test::Spin();
    used_ns = test::ThreadCpuNs();
  });
  usleep(50000);
  auto profile = StartCpuProfile(Discard);
  EXPECT_EQ(ReadStats().threads_signal_blocked, 1u);
  test::BurnMs(1500);
  EXPECT_GT(ReadStats().samples_signal_blocked, 20u);  // also while the profile runs
  EXPECT_TRUE(profile->Stop().ok());
  stop = true;
  blocked.join();
  const auto periods = static_cast<double>(used_ns) / 1e7;
  const auto counted = static_cast<double>(ReadStats().samples_signal_blocked);
  EXPECT_GT(counted, 0.7 * periods);  // it ran before the profile and after it, too
  EXPECT_LE(counted, periods + 1);
}

// Blocked for a while, then sampled again: no CPU time twice.
void ThreadsThatUnblockSigprofAreCountedOnce() {
  auto profile = StartCpuProfile(Discard);
  ASSERT_TRUE(profile.ok());
  const std::int64_t start = test::ThreadCpuNs();
  SetSigprof(SIG_BLOCK);
  test::BurnMs(1500);
  SetSigprof(SIG_UNBLOCK);
  test::BurnMs(500);
  const std::int64_t used = test::ThreadCpuNs() - start;
  EXPECT_TRUE(profile->Stop().ok());
  const Stats stats = ReadStats();
  EXPECT_GT(stats.samples_signal_blocked, 20u);
  EXPECT_GT(stats.samples, 40u);
  const std::uint64_t all =
      stats.samples_signal_blocked + stats.samples + stats.samples_exit_correction;
  EXPECT_NEAR(static_cast<double>(all), static_cast<double>(used) / 1e7, 4);
}

TEST(Signals, NoHandlerTimerOrThreadBeforeTheFirstProfile) {
  IN_CHILD(NothingBeforeTheFirstProfile);
}
TEST(Signals, NoTimerThreadOrRingAfterTheLastProfile) { IN_CHILD(NothingLeftAfterTheLast); }
TEST(Signals, ForeignSignalsReachThePreviousHandler) {
  IN_CHILD(ForeignSignalsReachThePreviousHandler);
}
TEST(Signals, ForeignSignalsKeepTheirInfo) { IN_CHILD(ForeignSignalsKeepTheirInfo); }
TEST(Signals, TwoHandlersThatSaveEachOtherDoNotLoop) {
  IN_CHILD(TwoHandlersThatSaveEachOtherDoNotLoop);
}
TEST(Signals, ReplacedHandlerIsTakenBackOnceThenSamplingStops) {
  IN_CHILD(ReplacedHandlerIsTakenBackOnceThenSamplingStops);
}
TEST(Signals, ErrnoSurvivesSamples) { IN_CHILD(ErrnoSurvivesSamples); }
TEST(Signals, ThreadsThatBlockSigprofAreCounted) { IN_CHILD(ThreadsThatBlockSigprofAreCounted); }
TEST(Signals, ThreadsThatUnblockSigprofAreCountedOnce) {
  IN_CHILD(ThreadsThatUnblockSigprofAreCountedOnce);
}

}  // namespace
}  // namespace pprof
