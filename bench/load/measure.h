// One scenario, with or without a profile, and what the process used for it.
#pragma once

#include <pprof/stats.h>

#include <cstdint>

#include "bench/load/scenarios.h"

namespace load {

struct Measured {
  bool valid = false;
  Done done;
  double wall_s = 0;
  double cpu_s = 0;           // process clock, less the library's own threads
  double library_s = 0;       // these
  std::int64_t peak_kib = 0;  // resident, before the profile is symbolized
  std::int64_t end_kib = 0;   // peak after that: with symbol caches and the written profile
  pprof::Stats stats;         // differences; the *_bytes as they are at the end
  double profile_s = 0;       // sum of the profile's samples, loss left out
  double loss_s = 0;          // frames for lost and missing CPU
  double period_s = 0;
};

// In this process, whose peak then belongs to it. `rate` 0: no profile.
Measured Measure(const Scenario& scenario, const Size& size, int rate);
// In a child process of its own: memory of one run must not hide in what another left behind.
// REQUIRES: the caller has started no thread.
Measured MeasureInChild(const Scenario& scenario, const Size& size, int rate);

}  // namespace load
