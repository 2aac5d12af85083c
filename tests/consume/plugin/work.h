// Takes CPU time.
#pragma once

#include <ctime>

inline double CpuSeconds(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

inline double Work(double seconds) {
  double sum = 0;
  for (const double end = CpuSeconds(CLOCK_THREAD_CPUTIME_ID) + seconds;
       CpuSeconds(CLOCK_THREAD_CPUTIME_ID) < end;) {
    for (int i = 1; i < 100000; ++i) sum += 1.0 / i;
  }
  return sum;
}
