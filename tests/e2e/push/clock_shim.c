/* Preloaded into the driver: a wall clock that a test can step. clock_shim_step(ns) moves it, whether
 * the program asks the C library or the kernel. Async-signal-safe after start-up. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

static _Atomic long long offset_ns;
static long (*real_syscall)(long, ...);
static int (*real_clock_gettime)(clockid_t, struct timespec*);

__attribute__((constructor)) static void Resolve(void) {
  *(void**)&real_syscall = dlsym(RTLD_NEXT, "syscall");
  *(void**)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
}

void clock_shim_step(long long ns) { atomic_fetch_add(&offset_ns, ns); }

static void Shift(clockid_t clock, struct timespec* now) {
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return;
  const long long ns = now->tv_sec * 1000000000LL + now->tv_nsec + atomic_load(&offset_ns);
  now->tv_sec = ns / 1000000000LL;
  now->tv_nsec = ns % 1000000000LL;
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  if (real_clock_gettime == NULL) Resolve();
  const int failed = real_clock_gettime(clock, now);
  if (failed == 0) Shift(clock, now);
  return failed;
}

int gettimeofday(struct timeval* restrict now, void* restrict zone) {
  (void)zone;
  struct timespec exact;
  if (clock_gettime(CLOCK_REALTIME, &exact) != 0) return -1;
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) {
  struct timespec exact;
  if (clock_gettime(CLOCK_REALTIME, &exact) != 0) return (time_t)-1;
  if (out != NULL) *out = exact.tv_sec;
  return exact.tv_sec;
}

long syscall(long number, ...) {
  long argument[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; ++i) argument[i] = va_arg(list, long);
  va_end(list);
  if (real_syscall == NULL) Resolve();
  const long result = real_syscall(number, argument[0], argument[1], argument[2], argument[3],
                                   argument[4], argument[5]);
  if (number == SYS_clock_gettime && result == 0) {
    Shift((clockid_t)argument[0], (struct timespec*)argument[1]);
  }
  return result;
}
