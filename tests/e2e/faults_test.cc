// The operating system refuses what a profile needs: memory, address space, a thread. The host goes
// on, the error names the cause, and the next profile works.

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pprof/labels.h>
#include <pprof/log.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <pthread.h>
#include <sys/resource.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <thread>

#include "tests/support/busy.h"
#include "tests/support/process.h"

namespace {

std::atomic<bool> g_refuse_threads{false};
// Allocations that still succeed; negative: all do.
std::atomic<long> g_allocations_left{-1};
std::atomic<bool> g_fail_once{false};
std::atomic<bool> g_failed{false};

[[maybe_unused]] bool AllocationFails() {
  if (g_allocations_left.load(std::memory_order_relaxed) < 0) return false;
  if (g_allocations_left.fetch_sub(1) > 0) return false;
  g_failed = true;
  if (!g_fail_once) g_allocations_left = 0;
  return true;
}

}  // namespace

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*start)(void*), void* argument) {
  if (g_refuse_threads) return EAGAIN;
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  return real(thread, attributes, start, argument);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 1
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* malloc(std::size_t size) { return AllocationFails() ? nullptr : __libc_malloc(size); }
void* calloc(std::size_t count, std::size_t size) {
  return AllocationFails() ? nullptr : __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  return AllocationFails() ? nullptr : __libc_realloc(memory, size);
}
}
#else
#define OWN_ALLOCATOR 0
#endif

namespace pprof {
namespace {

bool Discard(std::string_view) { return true; }

// 0: a profile can be taken as if nothing had happened.
int WorksAgain() {
  std::string bytes;
  auto profile = StartCpuProfile([&](std::string_view piece) {
    bytes += piece;
    return true;
  });
  if (!profile.ok()) return 101;
  test::BurnMs(60);
  if (!profile->Stop().ok()) return 102;
  return bytes.size() > 100 ? 0 : 103;
}

void ExpectZero(int status) {
  ASSERT_NE(status, -1) << "the child hung";
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

#if OWN_ALLOCATOR
struct Failure {
  long allowed;
  bool once;
};

int StartAndStopWithout(const Failure& failure) {
  SetLogHandler({});
  g_failed = false;
  g_fail_once = failure.once;
  g_allocations_left = failure.allowed;
  {
    auto profile = StartCpuProfile(Discard, {1000});
    LabelScope scope(Labels({{"k", "v"}}));
    test::BurnMs(15);
    if (profile.ok()) {
      const Status stopped = profile->Stop();
      if (!stopped.ok() && stopped.message.empty()) return 1;
    } else if (profile.status().message.empty()) {
      return 2;
    }
  }
  g_allocations_left = -1;
  return WorksAgain();
}

// From the n-th allocation on there is no memory, or only the n-th fails, for every thread of the
// process, the collector too. Densely for small n, where each is another place.
TEST(OutOfMemory, AnywhereInStartAndStopTheHostGoesOn) {
  for (const bool once : {false, true}) {
    bool failed = true;
    for (long n = 0; failed && n < 200000; n = n < 120 ? n + 1 : n + n / 6) {
      int pipes[2];
      ASSERT_EQ(pipe(pipes), 0);
      SCOPED_TRACE("allocation " + std::to_string(n) + (once ? " only" : " and all after it"));
      const int status = test::RunInChild([&]() -> int {
        const int result = StartAndStopWithout({n, once});
        const char mark = g_failed ? 'y' : 'n';
        return write(pipes[1], &mark, 1) == 1 ? result : 104;
      });
      char mark = 'y';
      if (status == 0) {
        ASSERT_EQ(read(pipes[0], &mark, 1), 1);
      }
      close(pipes[0]);
      close(pipes[1]);
      ExpectZero(status);
      failed = mark == 'y';
    }
  }
}
#endif

TEST(AddressSpace, RefusedIsAnErrorWithTheRemedyAndTheHostGoesOn) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer needs the address space itself";
#endif
  ExpectZero(test::RunInChild([]() -> int {
    rlimit before = {};
    getrlimit(RLIMIT_AS, &before);
    const rlimit none = {1 << 20, before.rlim_max};  // less than there is: every mmap is refused
    if (setrlimit(RLIMIT_AS, &none) != 0) return 1;
    auto profile = StartCpuProfile(Discard);
    setrlimit(RLIMIT_AS, &before);
    if (profile.ok()) return 2;
    if (profile.status().code != Status::Code::kUnavailable) return 3;
    if (profile.status().message.find("RLIMIT_AS") == std::string::npos) return 4;
    return WorksAgain();
  }));
}

TEST(AddressSpace, RefusedWhileAProfileRunsTheHostGoesOn) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer needs the address space itself";
#endif
  ExpectZero(test::RunInChild([]() -> int {
    auto profile = StartCpuProfile(Discard, {1000});
    if (!profile.ok()) return 1;
    rlimit before = {};
    getrlimit(RLIMIT_AS, &before);
    const rlimit none = {1 << 20, before.rlim_max};
    setrlimit(RLIMIT_AS, &none);
    test::BurnMs(300);
    const Status stopped = profile->Stop();
    setrlimit(RLIMIT_AS, &before);
    if (!stopped.ok() && stopped.message.empty()) return 2;
    return WorksAgain();
  }));
}

TEST(CollectorThread, RefusedIsAnErrorWithTheRemedyAndTheHostGoesOn) {
  ExpectZero(test::RunInChild([]() -> int {
    g_refuse_threads = true;
    auto profile = StartCpuProfile(Discard);
    g_refuse_threads = false;
    if (profile.ok()) return 1;
    if (profile.status().code != Status::Code::kUnavailable) return 2;
    if (profile.status().message.find("pids.max") == std::string::npos) return 3;
    if (test::CountTimers() > 0) return 4;
    return WorksAgain();
  }));
}

}  // namespace
}  // namespace pprof
