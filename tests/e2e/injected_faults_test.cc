// System calls that fail or stall under the library: this program stands in for the C library's
// wrappers. The host goes on, the cause is visible in ReadStats and in one log line.

#include <dirent.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <pprof/labels.h>
#include <pprof/log.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "src/pprof/handler/thread_record.h"
#include "src/pprof/labels/thread.h"
#include "src/pprof/labels/thread_registry.h"
#include "src/pprof/sampler/aggregate.h"
#include "tests/support/busy.h"
#include "tests/support/pprof_reader.h"
#include "tests/support/process.h"

namespace {

// What fails. One fault a child, set while one thread runs.
struct Faults {
  std::atomic<long> system_call{-1};  // of those through syscall()
  std::atomic<int> error{0};
  std::atomic<bool> opendir{false}, getrandom{false}, sigaction{false};
  std::atomic<long> mmap_left{-1};        // calls that still succeed; negative: all do
  std::atomic<std::size_t> mmap_size{0};  // only calls for so much; 0: all
  std::atomic<long> wall_step_ns{0};
  std::atomic<bool> stall_collector{false};
} g_faults;

template <class F>
F Real(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {
long syscall(long number, ...) noexcept {
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& argument : a) argument = va_arg(list, long);
  va_end(list);
  static const auto real = Real<long (*)(long, ...)>("syscall");
  const auto clock = static_cast<clockid_t>(a[0]);  // CPU clocks of threads are negative
  if (number == g_faults.system_call && (number != SYS_clock_gettime || clock < 0)) {
    errno = g_faults.error;
    return -1;
  }
  const bool waits = number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT;
  while (waits && g_faults.stall_collector) usleep(1000);
  const long result = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (number == SYS_clock_gettime && clock == CLOCK_REALTIME) {
    auto* now = reinterpret_cast<timespec*>(a[1]);
    now->tv_sec += g_faults.wall_step_ns / 1000000000;
  }
  return result;
}

void* mmap(void* address, std::size_t size, int protection, int flags, int fd,
           off_t offset) noexcept {
  const bool counts = g_faults.mmap_size == 0 || g_faults.mmap_size == size;
  if (counts && g_faults.mmap_left >= 0 && g_faults.mmap_left-- == 0) {
    g_faults.mmap_left = -1;
    errno = ENOMEM;
    return MAP_FAILED;
  }
  static const auto real = Real<void* (*)(void*, std::size_t, int, int, int, off_t)>("mmap");
  return real(address, size, protection, flags, fd, offset);
}

DIR* opendir(const char* path) {
  if (g_faults.opendir) {
    errno = EMFILE;
    return nullptr;
  }
  static const auto real = Real<DIR* (*)(const char*)>("opendir");
  return real(path);
}

ssize_t getrandom(void* to, std::size_t size, unsigned flags) {
  if (g_faults.getrandom) {
    errno = ENOSYS;
    return -1;
  }
  static const auto real = Real<ssize_t (*)(void*, std::size_t, unsigned)>("getrandom");
  return real(to, size, flags);
}

int sigaction(int signal, const struct sigaction* fresh, struct sigaction* old) noexcept {
  if (g_faults.sigaction && signal == SIGPROF && fresh != nullptr) {
    errno = EPERM;
    return -1;
  }
  static const auto real =
      Real<int (*)(int, const struct sigaction*, struct sigaction*)>("sigaction");
  return real(signal, fresh, old);
}
}

namespace pprof {
namespace {

// Lines of the log in this process.
struct Lines {
  std::mutex mutex;
  std::string text;
};
Lines& Log() {
  static auto* const lines = new Lines();
  return *lines;
}
int Said(const std::string& words) {
  const std::lock_guard<std::mutex> lock(Log().mutex);
  int count = 0;
  for (std::size_t at = 0; (at = Log().text.find(words, at)) != std::string::npos; ++at) ++count;
  return count;
}

#define IN_CHILD(body)                                               \
  do {                                                               \
    const int status = test::RunInChild([]() -> int {                \
      SetLogHandler([](LogLevel, std::string_view line) {            \
        const LabelScope scope(Labels({{"in", "the log handler"}})); \
        ReadStats();                                                 \
        const std::lock_guard<std::mutex> lock(Log().mutex);         \
        Log().text += std::string(line) + "\n";                      \
      });                                                            \
      body();                                                        \
      return testing::Test::HasFailure() ? 1 : 0;                    \
    });                                                              \
    ASSERT_NE(status, -1) << "the child hung";                       \
    ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status); \
    EXPECT_EQ(WEXITSTATUS(status), 0);                               \
  } while (false)

struct Taken {
  Result<CpuProfile> profile = Status{Status::Code::kStopped, ""};
  std::string bytes;

  explicit Taken(int rate = 1000) {
    profile = StartCpuProfile(
        [this](std::string_view piece) {
          bytes += piece;
          return true;
        },
        {rate});
  }
  pprof_reader::Profile Stop() {
    EXPECT_TRUE(profile.ok());
    EXPECT_TRUE(profile->Stop().ok());
    std::string error;
    const auto read = pprof_reader::Read(bytes, &error);
    EXPECT_TRUE(read.has_value()) << error;
    return read.value_or(pprof_reader::Profile());
  }
};

std::uint64_t Under(const pprof_reader::Profile& profile, const char* frame) {
  std::int64_t sum = 0;
  for (const auto& sample : profile.samples) {
    if (sample.HasFunction(frame)) sum += sample.count;
  }
  return static_cast<std::uint64_t>(sum);
}

// As if nothing had happened.
void WorksAgain() {
  Taken again;
  ASSERT_TRUE(again.profile.ok()) << again.profile.status().message;
  const std::uint64_t before = ReadStats().deliveries;
  for (int i = 0; i < 50 && ReadStats().deliveries == before; ++i) test::BurnMs(20);
  EXPECT_GT(ReadStats().deliveries, before);
  again.Stop();
}

void RefusedAtStart(long system_call, int error, const char* words) {
  g_faults.error = error;
  g_faults.system_call = system_call;
  const Taken none;
  g_faults.system_call = -1;
  ASSERT_FALSE(none.profile.ok());
  EXPECT_EQ(none.profile.status().code, Status::Code::kUnavailable);
  EXPECT_NE(none.profile.status().message.find(words), std::string::npos)
      << none.profile.status().message;
  EXPECT_GE(ReadStats().timers_refused, 1u);
  EXPECT_EQ(Said("a thread is not sampled"), 1);
  EXPECT_LE(test::CountTimers(), 0);
  WorksAgain();
}

void TimerCreateRefused() { RefusedAtStart(SYS_timer_create, EAGAIN, "RLIMIT_SIGPENDING"); }
void TimerSettimeRefused() { RefusedAtStart(SYS_timer_settime, EINVAL, "timer_create"); }
void CpuClocksRefused() { RefusedAtStart(SYS_clock_gettime, EINVAL, "CPU-time timers"); }

// A thread that begins while the profile runs gets no timer: its CPU time has a frame.
void TimerOfALaterThreadRefused() {
  Taken taken;
  ASSERT_TRUE(taken.profile.ok());
  g_faults.error = EAGAIN;
  g_faults.system_call = SYS_timer_create;
  std::thread([] {
    const LabelScope scope(Labels({{"k", "v"}}));
    test::BurnMs(300);
  }).join();
  g_faults.system_call = -1;
  const auto profile = taken.Stop();
  EXPECT_GE(ReadStats().timers_refused, 1u);
  EXPECT_GE(Under(profile, "[not sampled: timer refused]"), 290u);
  EXPECT_EQ(Said("a thread is not sampled"), 1);
}

void EveryMmapRefusedOnce() {
  bool refused = true;
  for (long n = 0; refused && n < 1000; ++n) {
    g_faults.mmap_left = n;
    Taken taken;
    if (taken.profile.ok()) {
      test::BurnMs(20);
      taken.Stop();
    } else {
      EXPECT_FALSE(taken.profile.status().message.empty());
    }
    refused = g_faults.mmap_left < 0;
    g_faults.mmap_left = -1;
  }
  EXPECT_FALSE(refused);
  WorksAgain();
}

void RecordsOfThreadsRefused() {
  g_faults.mmap_left = 0;
  { const LabelScope scope(Labels({{"k", "v"}})); }  // the first thing that needs them
  g_faults.mmap_size = sizeof(handler::ThreadRecord) * handler::kMaxThreads;
  g_faults.mmap_left = 0;
  const Taken none;
  const bool used = g_faults.mmap_left < 0;
  g_faults.mmap_left = -1;
  g_faults.mmap_size = 0;
  EXPECT_TRUE(used);
  EXPECT_GE(ReadStats().labels_dropped, 1u);
  ASSERT_FALSE(none.profile.ok());
  EXPECT_NE(none.profile.status().message.find("RLIMIT_AS"), std::string::npos);
  WorksAgain();
}

// No /proc, or no descriptor left for it.
void ThreadsCannotBeListed() {
  const LabelScope scope(Labels({{"k", "v"}}));
  g_faults.opendir = true;
  Taken taken;
  std::thread([] { test::BurnMs(300); }).join();
  test::BurnMs(300);
  const auto profile = taken.Stop();
  g_faults.opendir = false;
  EXPECT_GE(ReadStats().scans_failed, 1u);
  EXPECT_EQ(Said("threads cannot be listed: /proc/self/task: Too many open files"), 1);
  EXPECT_GE(Under(profile, "[not sampled: threads that ended unseen]"), 250u);
  EXPECT_GT(ReadStats().samples, 100u);  // the labelled thread's
}

// As daemons do that close all descriptors.
void CloseTaskDirectory() {
  for (int fd = 3; fd < 1000; ++fd) {
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    char path[64] = {};
    if (readlink(link.c_str(), path, sizeof path - 1) < 0) continue;
    if (std::string_view(path) == "/proc/" + std::to_string(getpid()) + "/task") close(fd);
  }
}

void ThreadsCannotBeListedAnyMore() {
  Taken taken;
  test::BurnMs(500);  // the collector has the directory open
  ASSERT_EQ(ReadStats().scans_failed, 0u);
  g_faults.opendir = true;
  CloseTaskDirectory();
  test::BurnMs(500);
  taken.Stop();
  g_faults.opendir = false;
  EXPECT_GE(ReadStats().scans_failed, 1u);
  EXPECT_EQ(Said("threads cannot be listed: /proc/self/task: Too many open files"), 1);
}

void HandlerCannotBeInstalled() {
  g_faults.sigaction = true;
  const Taken none;
  g_faults.sigaction = false;
  ASSERT_FALSE(none.profile.ok());
  EXPECT_NE(none.profile.status().message.find("sigaction"), std::string::npos);
  WorksAgain();
}

void NoRandomNumbers() {
  g_faults.getrandom = true;
  WorksAgain();
}

// A profile's length is measured by a clock that nobody can set.
void WallClockJumps() {
  for (const long step : {-100000L, 100000L}) {
    const std::int64_t wall = test::ReadClockNs(CLOCK_REALTIME);
    const std::int64_t start = test::ReadClockNs(CLOCK_MONOTONIC);
    Taken taken;
    g_faults.wall_step_ns = step * 1000000000;
    test::BurnMs(300);
    const auto profile = taken.Stop();
    g_faults.wall_step_ns = 0;
    EXPECT_LE(profile.duration_ns, test::ReadClockNs(CLOCK_MONOTONIC) - start);
    EXPECT_GE(profile.duration_ns, 300000000);
    EXPECT_GE(profile.time_ns, wall);
    EXPECT_LT(profile.time_ns, wall + 60000000000);
    EXPECT_GT(profile.samples.size(), 0u);
  }
}

// The collector gets no processor: what the ring cannot hold is counted to the last expiry.
void StalledCollectorFillsTheRing() {
  Taken taken;
  g_faults.stall_collector = true;
  const std::int64_t before = test::ThreadCpuNs();
  while (ReadStats().lost_ring_full < 100 && test::ThreadCpuNs() - before < 30000000000) {
    test::BurnMs(50);
  }
  g_faults.stall_collector = false;
  const auto profile = taken.Stop();
  const Stats stats = ReadStats();
  EXPECT_GE(stats.lost_ring_full, 100u);
  EXPECT_EQ(stats.samples_lost, stats.lost_ring_full);
  EXPECT_EQ(Under(profile, "[lost: ring full]"), stats.lost_ring_full);
  EXPECT_EQ(Said("samples were lost, the collector thread"), 1);
}

void MoreBusyThreadsThanRings() {
  Taken taken;
  g_faults.stall_collector = true;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  while (threads.size() < 1000 && ReadStats().lost_no_ring < 50) {
    std::atomic<bool> sampled{false};
    threads.emplace_back([&] {
      const LabelScope scope(Labels({{"k", "v"}}));
      const std::uint64_t seen = ReadStats().deliveries;
      for (int k = 0; k < 100 && ReadStats().deliveries == seen; ++k) test::BurnMs(1);
      sampled = true;
      while (!stop) usleep(10000);  // keeps its ring
    });
    while (!sampled) usleep(1000);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  g_faults.stall_collector = false;
  const auto profile = taken.Stop();
  EXPECT_GE(ReadStats().lost_no_ring, 50u);
  EXPECT_EQ(Under(profile, "[lost: no ring]"), ReadStats().lost_no_ring);
  EXPECT_EQ(Said("more than 512 threads were busy"), 1);
}

// Our own signal, as often as wanted.
void SampleThisThread() {
  siginfo_t info = {};
  info.si_signo = SIGPROF;
  info.si_code = SI_TIMER;
  info.si_value.sival_ptr = reinterpret_cast<void*>(labels::CurrentThread()->record->cookie.load());
  syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGPROF, &info);
}

void LabelsWithoutEndFillTheStorage() {
  Taken taken(1);
  const std::string padding(1900, 'x');
  constexpr std::uint64_t kEnough = 5000;
  // On a busy machine most samples are lost before they come to the storage.
  for (std::uint64_t i = 0; ReadStats().samples_over_memory_cap <= kEnough; ++i) {
    ASSERT_LT(i, 100 * kEnough);
    const LabelScope scope(Labels({{"request", std::to_string(i) + padding}}));
    SampleThisThread();
    while (i % 4 == 3 && ReadStats().samples + ReadStats().samples_lost < i) sched_yield();
    ASSERT_LE(ReadStats().aggregation_bytes, sampler::kAggregateBytesCap);
  }
  const auto profile = taken.Stop();
  EXPECT_GT(ReadStats().samples_over_memory_cap, kEnough);
  EXPECT_EQ(Under(profile, "[stack storage full]"), ReadStats().samples_over_memory_cap);
  EXPECT_EQ(Said("a profile is full"), 1);
}

void MoreThreadsThanRecords() {
  const LabelScope scope(Labels({{"k", "v"}}));
  labels::ThreadRegistry& registry = labels::ThreadRegistry::Get();
  int refused = 0;
  for (std::int32_t tid = 100000000; tid < 100000000 + 16384; ++tid) {
    const std::lock_guard<std::mutex> lock(registry.mutex());
    refused += registry.FindOrAdd(tid) == nullptr ? 1 : 0;
  }
  EXPECT_EQ(refused, 1);
  std::thread([] {
    const LabelScope none(Labels({{"k", "v"}}));
    EXPECT_EQ(labels::t_state, nullptr);
  }).join();
  EXPECT_EQ(ReadStats().threads_over_limit, 2u);
  EXPECT_EQ(ReadStats().labels_dropped, 1u);
  Taken taken;
  test::BurnMs(300);
  taken.Stop();
  EXPECT_EQ(Said("more than 16384 threads"), 1);
}

TEST(InjectedFaults, TimerCreateRefused) { IN_CHILD(TimerCreateRefused); }
TEST(InjectedFaults, TimerSettimeRefused) { IN_CHILD(TimerSettimeRefused); }
TEST(InjectedFaults, CpuClocksRefused) { IN_CHILD(CpuClocksRefused); }
TEST(InjectedFaults, TimerOfALaterThreadRefused) { IN_CHILD(TimerOfALaterThreadRefused); }
TEST(InjectedFaults, EveryMmapRefusedOnce) { IN_CHILD(EveryMmapRefusedOnce); }
TEST(InjectedFaults, RecordsOfThreadsRefused) { IN_CHILD(RecordsOfThreadsRefused); }
TEST(InjectedFaults, ThreadsCannotBeListed) { IN_CHILD(ThreadsCannotBeListed); }
TEST(InjectedFaults, ThreadsCannotBeListedAnyMore) { IN_CHILD(ThreadsCannotBeListedAnyMore); }
TEST(InjectedFaults, HandlerCannotBeInstalled) { IN_CHILD(HandlerCannotBeInstalled); }
TEST(InjectedFaults, NoRandomNumbers) { IN_CHILD(NoRandomNumbers); }
TEST(InjectedFaults, WallClockJumps) { IN_CHILD(WallClockJumps); }
TEST(InjectedFaults, StalledCollectorFillsTheRing) { IN_CHILD(StalledCollectorFillsTheRing); }
TEST(InjectedFaults, MoreBusyThreadsThanRings) { IN_CHILD(MoreBusyThreadsThanRings); }
TEST(InjectedFaults, LabelsWithoutEndFillTheStorage) { IN_CHILD(LabelsWithoutEndFillTheStorage); }
TEST(InjectedFaults, MoreThreadsThanRecords) { IN_CHILD(MoreThreadsThanRecords); }

}  // namespace
}  // namespace pprof
