// What hosts do under 1 kHz of sampling: threads of every kind and end, small stacks, crash
// handlers on alternate stacks, exceptions, system calls that a signal can interrupt.

#include <cxxabi.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/busy.h"
#include "tests/support/pprof_reader.h"
#include "tests/support/process.h"

namespace host {

using pprof::CpuProfile;
using pprof::Labels;
using pprof::LabelScope;
using pprof::ReadStats;
using pprof::Result;
using pprof::StartCpuProfile;
using pprof::Stats;

bool Discard(std::string_view) { return true; }

void ExpectZero(int status) {
  ASSERT_NE(status, -1) << "the child hung";
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// A profile of what `work` does, at 1 kHz.
template <class Work>
pprof_reader::Profile ProfileOf(Work&& work, int rate = 1000) {
  std::string bytes;
  auto profile = StartCpuProfile(
      [&](std::string_view piece) {
        bytes += piece;
        return true;
      },
      {rate});
  EXPECT_TRUE(profile.ok());
  work();
  EXPECT_TRUE(profile->Stop().ok());
  std::string error;
  const auto read = pprof_reader::Read(bytes, &error);
  EXPECT_TRUE(read.has_value()) << error;
  return read.value_or(pprof_reader::Profile());
}

std::int64_t CpuMs(const pprof_reader::Profile& profile, const char* function) {
  std::int64_t ns = 0;
  for (const auto& sample : profile.samples) {
    if (sample.HasFunction(function)) ns += sample.cpu_ns;
  }
  return ns / 1000000;
}

// ---- threads

[[gnu::noinline]] void BurnForASample() {
  test::BurnMs(100);
  asm volatile("");
}
[[gnu::noinline]] void StartedBefore(const std::atomic<bool>& stop) {
  while (!stop) test::Spin();
  asm volatile("");
}
[[gnu::noinline]] void EndsDetached(std::atomic<int>& ended) {
  BurnForASample();
  ++ended;
}
[[gnu::noinline]] void EndsByPthreadExit() {
  BurnForASample();
  pthread_exit(nullptr);
}
[[gnu::noinline]] void EndsByCancellation(std::atomic<bool>& started) {
  BurnForASample();
  started = true;
  for (;;) pause();  // a cancellation point
}
[[gnu::noinline]] void EndsByException() {
  BurnForASample();
  throw std::runtime_error("out of the start routine");
}

std::atomic<std::uint64_t> g_raw_rounds{0};
std::atomic<bool> g_raw_stop{false};
std::atomic<int> g_raw_tid{0};

// Has no thread-local storage of its own and knows no C library.
int RawThread(void*) {
  while (!g_raw_stop.load(std::memory_order_relaxed)) g_raw_rounds.fetch_add(1);
  return 0;
}

TEST(HostThreads, StartedBeforeTheProfileIsSampled) {
  std::atomic<bool> stop{false};
  std::thread before([&] { StartedBefore(stop); });
  const auto profile = ProfileOf([&] {
    clockid_t clock = 0;
    ASSERT_EQ(pthread_getcpuclockid(before.native_handle(), &clock), 0);
    const std::int64_t enough = test::ReadClockNs(clock) + 300000000;
    while (test::ReadClockNs(clock) < enough) usleep(1000);
    stop = true;
    before.join();
  });
  EXPECT_GT(CpuMs(profile, "host::StartedBefore"), 100);
}

TEST(HostThreads, EveryWayToEndIsSampledAndLeavesNothing) {
  const auto profile = ProfileOf([&] {
    for (int i = 0; i < 5; ++i) {
      static std::atomic<int> ended;
      ended = 0;
      std::thread([] { EndsDetached(ended); }).detach();
      std::thread([] { EndsByPthreadExit(); }).join();
      std::thread([] {
        try {
          EndsByException();
        } catch (const std::runtime_error&) {
        }
      }).join();
      std::atomic<bool> started{false};
      std::thread cancelled([&] {
        const LabelScope scope(Labels({{"k", "v"}}));
        EndsByCancellation(started);
      });
      while (!started) usleep(1000);
      pthread_cancel(cancelled.native_handle());
      cancelled.join();
      while (ended == 0) usleep(1000);
    }
  });
  for (const char* function : {"host::EndsDetached", "host::EndsByPthreadExit",
                               "host::EndsByCancellation", "host::EndsByException"}) {
    EXPECT_GT(CpuMs(profile, function), 100) << function;
  }
  EXPECT_LE(test::CountTimers(), 0);
}

TEST(HostThreads, MadeByRawCloneIsSampled) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer knows no such thread";
#endif
  const auto profile = ProfileOf([&] {
    constexpr std::size_t kStack = 256 * 1024;
    void* stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                      CLONE_SYSVSEM | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID;
    const int tid = clone(RawThread, static_cast<char*>(stack) + kStack, flags, nullptr, &g_raw_tid,
                          nullptr, &g_raw_tid);
    ASSERT_GT(tid, 0);
    // Its CPU clock, by the kernel's number for it (posix-timers.h).
    const auto clock = static_cast<clockid_t>(~static_cast<unsigned>(tid) << 3 | 6);
    while (test::ReadClockNs(clock) < 500000000) usleep(1000);
    g_raw_stop = true;
    while (syscall(SYS_tgkill, getpid(), tid, 0) == 0) usleep(1000);
    munmap(stack, kStack);
  });
  EXPECT_GT(g_raw_rounds.load(), 0u);
  EXPECT_GT(CpuMs(profile, "host::RawThread"), 100);
}

TEST(HostThreads, TwoThousandAtOnceHaveATimerEachAndNoneAfter) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2000; ++i) {
    threads.emplace_back([&] {
      while (!stop) usleep(50000);
    });
  }
  const std::uint64_t refused = ReadStats().timers_refused;
  auto profile = StartCpuProfile(Discard);
  ASSERT_TRUE(profile.ok());
  const int timers = test::CountTimers();
  EXPECT_TRUE(timers < 0 || timers >= 2001 || ReadStats().timers_refused > refused) << timers;
  test::BurnMs(100);
  EXPECT_TRUE(profile->Stop().ok());
  EXPECT_LE(test::CountTimers(), 0);
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

// Two threads share one processor: each gets what its own clock says.
TEST(HostThreads, OnOneProcessorEachHasItsOwnTime) {
  ExpectZero(test::RunInChild([]() -> int {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(sched_getcpu()), &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) return 1;
    std::int64_t used_ms[2] = {};
    const auto profile = ProfileOf(
        [&] {
          std::thread threads[2];
          for (int i = 0; i < 2; ++i) {
            threads[i] = std::thread([&used_ms, i] {
              const LabelScope scope(Labels({{"thread", std::to_string(i)}}));
              test::BurnMs(i == 0 ? 500 : 1500);
              used_ms[i] = test::ThreadCpuNs() / 1000000;
            });
          }
          for (std::thread& thread : threads) thread.join();
        },
        100);
    std::map<std::string, std::int64_t> ms;
    for (const auto& sample : profile.samples) {
      ms[std::string(sample.Label("thread"))] += sample.cpu_ns / 1000000;
    }
    // What is left of a period at the thread's end, and a tick of the kernel's.
    for (int i = 0; i < 2; ++i) {
      const std::int64_t off_by = std::abs(ms[std::to_string(i)] - used_ms[i]);
      if (off_by <= 25) continue;
      std::fprintf(stderr, "thread %d: off by %lld of %lld ms\n", i, static_cast<long long>(off_by),
                   static_cast<long long>(used_ms[i]));
      return 2 + i;
    }
    return testing::Test::HasFailure() ? 5 : 0;
  }));
}

// ---- stacks

TEST(HostStacks, OfTheSmallestSizeHaveRoomForTheHandler) {
  const std::uint64_t before = ReadStats().deliveries;
  ProfileOf([] {
    for (int i = 0; i < 20; ++i) {
      pthread_attr_t attributes;
      pthread_attr_init(&attributes);
      pthread_attr_setstacksize(&attributes,
                                static_cast<std::size_t>(sysconf(_SC_THREAD_STACK_MIN)));
      pthread_t thread;
      const auto work = [](void*) -> void* {
        const LabelScope scope(Labels({{"k", "v"}}));
        test::BurnMs(50);
        return nullptr;
      };
      ASSERT_EQ(pthread_create(&thread, &attributes, work, nullptr), 0);
      pthread_join(thread, nullptr);
      pthread_attr_destroy(&attributes);
    }
  });
  EXPECT_GT(ReadStats().deliveries - before, 50u);
}

sigjmp_buf g_after_crash;
std::atomic<std::uint64_t> g_delivered_in_crash_handler{0};

// As crash handlers do: on an alternate stack, with work to do there.
void OnCrash(int) {
  const std::uint64_t before = ReadStats().deliveries;
  test::BurnMs(20);
  g_delivered_in_crash_handler += ReadStats().deliveries - before;
  siglongjmp(g_after_crash, 1);
}

// On a stack of 16 KiB over a guard page.
void CrashOnAlternateStacks(bool block_sigprof) {
  constexpr std::size_t kBytes = 16 * 1024;
  constexpr std::size_t kGuard = 4096;
  auto* const memory = static_cast<char*>(
      mmap(nullptr, kGuard + kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  mprotect(memory, kGuard, PROT_NONE);
  stack_t alternate = {};
  alternate.ss_sp = memory + kGuard;
  alternate.ss_size = kBytes;
  struct sigaction action = {};
  action.sa_handler = OnCrash;
  action.sa_flags = SA_ONSTACK;
  if (block_sigprof) sigaddset(&action.sa_mask, SIGPROF);
  sigaltstack(&alternate, nullptr);
  sigaction(SIGSEGV, &action, nullptr);
  for (int i = 0; i < 30; ++i) {
    if (sigsetjmp(g_after_crash, 1) == 0) *static_cast<volatile int*>(nullptr) = 1;
  }
}

TEST(HostStacks, CrashHandlersOnAlternateStacksAreSampledToo) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer has a crash handler of its own";
#endif
  ExpectZero(test::RunInChild([]() -> int {
    auto profile = StartCpuProfile(Discard, {1000});
    if (!profile.ok()) return 1;
    CrashOnAlternateStacks(false);
    return g_delivered_in_crash_handler > 20 ? 0 : 2;
  }));
}

// What docs/signal-safety.md advises: then nothing of ours comes onto a small stack.
TEST(HostStacks, CrashHandlersThatBlockSigprofAreLeftAlone) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer has a crash handler of its own";
#endif
  ExpectZero(test::RunInChild([]() -> int {
    auto profile = StartCpuProfile(Discard, {1000});
    if (!profile.ok()) return 1;
    CrashOnAlternateStacks(true);
    return g_delivered_in_crash_handler == 0 ? 0 : 2;
  }));
}

[[gnu::noinline]] int ThrowDeep(int depth) {
  if (depth == 0) throw std::runtime_error("deep");
  const int result = ThrowDeep(depth - 1);
  asm volatile("");
  return result + 1;
}

TEST(HostStacks, ExceptionsInFlightOnAllThreads) {
  std::atomic<std::uint64_t> caught{0};
  const Stats before = ReadStats();
  ProfileOf([&] {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        const std::int64_t end = test::ThreadCpuNs() + 500000000;
        while (test::ThreadCpuNs() < end) {
          try {
            ThrowDeep(20);
          } catch (const std::runtime_error&) {
            ++caught;
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  const Stats after = ReadStats();
  const std::uint64_t stacks = after.deliveries - before.deliveries;
  EXPECT_GT(caught.load(), 5000u);
  EXPECT_GT(stacks, 100u);
  std::printf("  %llu of %llu stacks complete\n",
              static_cast<unsigned long long>(after.stacks_complete - before.stacks_complete),
              static_cast<unsigned long long>(stacks));
}

// Leaves of the C library and the vDSO, which have no frame pointer, and system calls.
TEST(HostStacks, LibraryLeavesAndSystemCallsReachTheEntry) {
  const Stats before = ReadStats();
  ProfileOf([] {
    std::vector<char> from(1 << 20, 'x');
    std::vector<char> to(1 << 20);
    const std::int64_t end = test::ThreadCpuNs() + 1500000000;
    while (test::ThreadCpuNs() < end) {
      std::memcpy(to.data(), from.data(), from.size());
      std::memset(from.data(), static_cast<char>(to[7] + 1), from.size());
      for (int i = 0; i < 1000; ++i) test::ReadClockNs(CLOCK_MONOTONIC);
      for (int i = 0; i < 1000; ++i) syscall(SYS_getppid);
      asm volatile("" ::"r"(to.data()) : "memory");
    }
  });
  const Stats after = ReadStats();
  const std::uint64_t stacks = after.deliveries - before.deliveries;
  EXPECT_GT(stacks, 100u);
  const std::uint64_t cut = stacks - (after.stacks_complete - before.stacks_complete);
  EXPECT_LE(cut, 1 + stacks / 1000);  // of a few hundred, one may be at the thread's very start
}

// ---- processes

TEST(HostProcess, VforkUnderLoadReachesTheNewProgram) {
  ProfileOf([] {
    const test::BusyThreads load(2);
    for (int i = 0; i < 100; ++i) {
      const pid_t child = vfork();
      if (child == 0) {
        execl("/bin/true", "true", static_cast<char*>(nullptr));
        _exit(1);
      }
      int status = 0;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      ExpectZero(status);
    }
  });
}

void BusyForEver() {
  for (int k = 0; k < 3; ++k) {
    std::thread([] {
      const LabelScope scope(Labels({{"k", "v"}}));
      for (;;) test::Spin();
    }).detach();
  }
  test::BurnMs(20);
}

TEST(HostProcess, EveryWayToEndWhileAProfileRuns) {
  for (int i = 0; i < 10; ++i) {
    const int status = test::RunInChild([&]() -> int {
      static auto* const profile = new Result<CpuProfile>(StartCpuProfile(Discard, {1000}));
      if (!profile->ok()) return 1;
      BusyForEver();
      if (i % 3 == 0) std::quick_exit(0);
      if (i % 3 == 1) _exit(0);
      signal(SIGABRT, SIG_DFL);
      std::abort();
    });
    if (i % 3 != 2) {
      ExpectZero(status);
    } else {
      EXPECT_TRUE(status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << status;
    }
  }
}

// A container's filter that ends the process at perf_event_open, process_vm_readv and ptrace:
// nothing here needs them.
bool ForbidSystemCalls() {
  const auto refuse = [](unsigned number) {
    return sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number};
  };
  sock_filter program[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
                           refuse(SYS_perf_event_open),
                           {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
                           refuse(SYS_process_vm_readv),
                           {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
                           refuse(SYS_ptrace),
                           {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
                           {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  const sock_fprog filter = {static_cast<unsigned short>(std::size(program)), program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

#if !defined(__SANITIZE_ADDRESS__)  // whose malloc has no thresholds

// Blocks as large as glibc's first threshold get mappings of their own once the heap is used up,
// unless a larger one was freed before: mallopt(3), M_MMAP_THRESHOLD. They are kept for that
// reason.
bool ThresholdIsTheFirst(std::vector<void*>* kept) {
  const std::size_t before = mallinfo2().hblks;
  for (int i = 0; i < 64 && mallinfo2().hblks == before; ++i) {
    kept->push_back(std::malloc(std::size_t{128} * 1024));
  }
  return mallinfo2().hblks > before;
}

// A threshold that rises makes each of the host's arenas keep as much twice over. In a program of
// its own, because a fork child has the thresholds of this one.
TEST(HostProcess, ThresholdsOfMallocStayWhereTheyWere) {
  const char* const kAnew = "OTELPROF_TEST_ANEW";
  if (std::getenv(kAnew) == nullptr) {
    ExpectZero(test::RunInChild([&]() -> int {
      setenv(kAnew, "1", 1);
      execl("/proc/self/exe", "host_test",
            "--gtest_filter=HostProcess.ThresholdsOfMallocStayWhereTheyWere", nullptr);
      return 127;
    }));
    return;
  }
  std::vector<void*> kept;
  ASSERT_TRUE(ThresholdIsTheFirst(&kept));
  for (int i = 0; i < 2; ++i) {
    const auto profile = StartCpuProfile(Discard, {1000});
    ASSERT_TRUE(profile.ok());
    test::BurnMs(200);
  }
  EXPECT_GT(ReadStats().samples, 0u);
  EXPECT_TRUE(ThresholdIsTheFirst(&kept));
}

#endif

TEST(HostProcess, UnderASeccompFilter) {
  ExpectZero(test::RunInChild([]() -> int {
    if (!ForbidSystemCalls()) return 1;
    const std::uint64_t before = ReadStats().stacks_complete;
    ProfileOf([] { test::BurnMs(300); });
    return ReadStats().stacks_complete > before ? 0 : 2;
  }));
}

}  // namespace host
