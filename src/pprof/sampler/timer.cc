#include "src/pprof/sampler/timer.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "src/pprof/handler/clock.h"

namespace pprof::sampler {
namespace {

// Linux, include/linux/posix-timers.h: the CPU clock of a thread is (~tid << 3) |
// CPUCLOCK_PERTHREAD (4) | CPUCLOCK_SCHED (2).
clockid_t ThreadClock(std::int32_t tid) noexcept {
  return static_cast<clockid_t>(~static_cast<std::uint32_t>(tid) << 3 | 6);
}

timespec ToTimespec(std::int64_t ns) noexcept { return {ns / 1000000000, ns % 1000000000}; }

std::int64_t ReadClock(clockid_t clock) noexcept {
  timespec now;
  // The raw call: the C library's wrapper refuses some dynamic clocks.
  if (syscall(SYS_clock_gettime, clock, &now) != 0) return -1;
  return std::int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

}  // namespace

std::int32_t CreateThreadTimer(std::int32_t tid, std::uint64_t cookie, std::int64_t first_ns,
                               std::int64_t period_ns) noexcept {
  struct sigevent event = {};
  event.sigev_signo = SIGPROF;
  event.sigev_notify = SIGEV_THREAD_ID;
  event._sigev_un._tid = tid;
  event.sigev_value.sival_ptr = reinterpret_cast<void*>(cookie);
  int timer = -1;
  if (syscall(SYS_timer_create, ThreadClock(tid), &event, &timer) != 0) return -errno;
  const itimerspec times = {ToTimespec(period_ns), ToTimespec(first_ns)};
  if (syscall(SYS_timer_settime, timer, 0, &times, nullptr) != 0) {
    const int error = errno;
    DeleteThreadTimer(timer);
    return -error;
  }
  return timer;
}

void DeleteThreadTimer(std::int32_t timer) noexcept { syscall(SYS_timer_delete, timer); }

bool ThreadTimerOrphaned(std::int32_t timer) noexcept {
  itimerspec left = {};
  if (syscall(SYS_timer_gettime, timer, &left) != 0) return true;
  return left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0;
}

std::int64_t ThreadCpuNs(std::int32_t tid) noexcept { return ReadClock(ThreadClock(tid)); }
std::int64_t ProcessCpuNs() noexcept { return ReadClock(CLOCK_PROCESS_CPUTIME_ID); }
std::int64_t MonotonicNs() noexcept { return static_cast<std::int64_t>(handler::MonotonicNs()); }
std::int64_t RealtimeNs() noexcept { return ReadClock(CLOCK_REALTIME); }

}  // namespace pprof::sampler
