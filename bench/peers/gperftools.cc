// CPUPROFILE_PER_THREAD_TIMERS in the environment chooses its second kind of timer.
#include <gperftools/profiler.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "bench/peers/profiler.h"

namespace peers {

// Its rate is read when the library is loaded, from CPUPROFILE_FREQUENCY: the caller sets it.
void StartProfile(const char* path, int rate) {
  const char* const frequency = std::getenv("CPUPROFILE_FREQUENCY");
  if (frequency == nullptr || std::atoi(frequency) != rate) {
    std::fprintf(stderr, "CPUPROFILE_FREQUENCY must be %d\n", rate);
    std::exit(1);
  }
  if (ProfilerStart(path) == 0) std::exit(1);
}

void StopProfile() { ProfilerStop(); }
void ThreadStarts() { ProfilerRegisterThread(); }
double LabelSwitchNs() { return 0; }

}  // namespace peers
