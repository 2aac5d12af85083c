// The process becomes another program while a profile runs, without a fork in between.

#include <gtest/gtest.h>
#include <pprof/exec.h>
#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <pthread.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/busy.h"
#include "tests/support/process.h"

namespace pprof {
namespace {

bool Discard(std::string_view) { return true; }

void ExpectExit(int status, int expected) {
  ASSERT_NE(status, -1) << "the child hung";
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), expected);
}

void BlockSigprof() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPROF);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

bool SigprofPending() {
  sigset_t pending;
  return sigpending(&pending) == 0 && sigismember(&pending, SIGPROF) == 1;
}

// Sampled at 1 kHz, with SIGPROF blocked and one of ours pending. 0: it is so.
int WaitForAPendingSignal() {
  for (int i = 0; i < 100 && !SigprofPending(); ++i) test::BurnMs(10);
  return SigprofPending() ? 0 : 10;
}

TEST(Exec, UnderLoadReachesTheNewProgram) {
  for (int i = 0; i < 60; ++i) {
    ExpectExit(test::RunInChild([&]() -> int {
                 auto profile = StartCpuProfile(Discard, {1000});
                 if (!profile.ok()) return 10;
                 const test::BusyThreads load(2);
                 const LabelScope scope(Labels({{"k", "v"}}));
                 test::BurnCpu(5000000 + i * 111111);
                 PrepareForExec();
                 if (test::CountTimers() > 0) return 11;
                 execl("/bin/true", "true", static_cast<char*>(nullptr));
                 return 12;
               }),
               0);
  }
}

// The new program inherits the mask and what is pending; it dies when it lets SIGPROF in.
TEST(Exec, LeavesNoSignalOfOursPending) {
  ExpectExit(test::RunInChild([]() -> int {
               BlockSigprof();
               auto profile = StartCpuProfile(Discard, {1000});
               if (!profile.ok()) return 11;
               if (const int failed = WaitForAPendingSignal(); failed != 0) return failed;
               PrepareForExec();
               if (SigprofPending()) return 12;
               // SigPnd and ShdPnd of proc(5), bit 26: grep says 1 where no line has it.
               execl("/bin/grep", "grep", "-Eq", "(SigPnd|ShdPnd):.*[4567cdef].{6}$",
                     "/proc/self/status", static_cast<char*>(nullptr));
               return 13;
             }),
             1);
}

TEST(Exec, LeavesNoSignalOfADeletedTimerPending) {
  ExpectExit(test::RunInChild([]() -> int {
               BlockSigprof();
               auto profile = StartCpuProfile(Discard, {1000});
               if (!profile.ok()) return 11;
               if (const int failed = WaitForAPendingSignal(); failed != 0) return failed;
               if (!profile->Stop().ok()) return 12;
               PrepareForExec();
               return SigprofPending() ? 13 : 0;
             }),
             0);
}

volatile std::sig_atomic_t g_value = 0;

TEST(Exec, SignalsOfOthersStayPendingAsTheyAre) {
  ExpectExit(test::RunInChild([]() -> int {
               struct sigaction theirs = {};
               theirs.sa_sigaction = [](int, siginfo_t* info, void*) {
                 g_value = info->si_value.sival_int;
               };
               theirs.sa_flags = SA_SIGINFO;
               sigaction(SIGPROF, &theirs, nullptr);
               auto profile = StartCpuProfile(Discard, {1000});
               if (!profile.ok()) return 11;
               BlockSigprof();
               sigval value = {};
               value.sival_int = 4711;
               if (pthread_sigqueue(pthread_self(), SIGPROF, value) != 0) return 12;
               PrepareForExec();
               if (!SigprofPending()) return 13;
               sigset_t none;
               sigemptyset(&none);
               pthread_sigmask(SIG_SETMASK, &none, nullptr);
               return g_value == 4711 ? 0 : 14;
             }),
             0);
}

TEST(Exec, ThatFailsLetsSamplingGoOn) {
  ExpectExit(test::RunInChild([]() -> int {
               auto profile = StartCpuProfile(Discard, {1000});
               if (!profile.ok()) return 10;
               test::BurnMs(50);
               PrepareForExec();
               PrepareForExec();
               const Stats paused = ReadStats();
               test::BurnMs(300);
               if (ReadStats().deliveries != paused.deliveries) return 11;
               execl("/nonexistent", "nonexistent", static_cast<char*>(nullptr));
               ExecFailed();
               ExecFailed();
               for (int i = 0; i < 50 && ReadStats().deliveries == paused.deliveries; ++i) {
                 test::BurnMs(20);
               }
               if (ReadStats().deliveries == paused.deliveries) return 12;
               if (!profile->Stop().ok()) return 13;
               // 300 ms at 1 kHz: what was not sampled has a frame.
               const std::uint64_t missed = ReadStats().samples_paused_for_exec;
               return missed >= 295 && missed < 1000 ? 0 : 14;
             }),
             0);
}

TEST(Exec, WithoutAProfileOrAfterItThereIsNothingToDo) {
  ExpectExit(test::RunInChild([]() -> int {
               PrepareForExec();
               ExecFailed();
               auto profile = StartCpuProfile(Discard);
               if (!profile.ok()) return 10;
               PrepareForExec();
               if (!profile->Stop().ok()) return 11;
               ExecFailed();
               if (test::CountTimers() > 0) return 12;
               auto next = StartCpuProfile(Discard, {1000});
               if (!next.ok()) return 13;
               const std::uint64_t before = ReadStats().deliveries;
               for (int i = 0; i < 50 && ReadStats().deliveries == before; ++i) test::BurnMs(20);
               if (ReadStats().deliveries == before) return 14;
               return next->Stop().ok() ? 0 : 15;
             }),
             0);
}

}  // namespace
}  // namespace pprof
