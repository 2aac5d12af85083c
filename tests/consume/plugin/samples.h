// How many samples a copy of the profiler took.
#pragma once

#include <pprof/stats.h>

// With those that a busy machine's kernel had not delivered when the profile ended: they are
// counted as missing then, and were a third of all in one run beside four busy programs.
inline unsigned long long Samples(const pprof::Stats& stats) {
  return stats.samples + stats.samples_exit_correction;
}
