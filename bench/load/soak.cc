// All loads of scenarios.h in turn in one process, over and over, each under a profile of its own,
// while the process's memory is written down each second. tools/soak runs it and judges.
//
//   soak SECONDS PHASE_SECONDS [LEAK_KIB [SCENARIO [off]]]
//
// One line a second: seconds since the start, round, scenario, resident KiB, and KiB that lie free
// in malloc's arenas. At the end of each round, with "-" for the scenario: the same when no profile
// runs, and the KiB of remembered symbols. LEAK_KIB: loses that much a second, for trying out
// whether the judge sees it. With a scenario ("all": each in turn) only that one, and with "off"
// without a profile: to find out who it is that grows.
#include <malloc.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "bench/load/scenarios.h"
#include "src/pprof/profiler/shared_symbolizer.h"

namespace {

using Clock = std::chrono::steady_clock;

long ResidentKib() {
  std::ifstream statm("/proc/self/statm");
  long total = 0;
  long resident = 0;
  statm >> total >> resident;
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

// Free, in all arenas, and not given back to the system.
long FreeInArenasKib() { return static_cast<long>(mallinfo2().fordblks / 1024); }

std::atomic<const char*> g_scenario{nullptr};
std::atomic<int> g_round{0};
std::atomic<bool> g_stop{false};

// Stays away from memory of its own: what it allocates would be in the picture.
void WriteDown(Clock::time_point start, std::size_t leak_bytes) {
  for (int second = 1; !g_stop; ++second) {
    std::this_thread::sleep_until(start + std::chrono::seconds(second));
    const char* scenario = g_scenario;
    if (scenario == nullptr) continue;
    const long free_kib = FreeInArenasKib();
    std::printf("%d %d %s %ld %ld\n", second, g_round.load(), scenario, ResidentKib(), free_kib);
    std::fflush(stdout);
    if (leak_bytes > 0) {
      if (void* lost = std::malloc(leak_bytes)) std::memset(lost, 1, leak_bytes);
    }
  }
}

// What a round leaves behind.
void WriteDownRound(Clock::time_point start) {
  const auto second =
      std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - start).count();
  const long free_kib = FreeInArenasKib();
  std::printf("%d %d - %ld %ld %zu\n", static_cast<int>(second), g_round.load(), ResidentKib(),
              free_kib, pprof::profiler::ReadSymbolizerStats().cache_bytes / 1024);
  std::fflush(stdout);
}

bool Chosen(const load::Scenario& scenario, int argc, char** argv) {
  return argc <= 4 || std::strcmp(argv[4], "all") == 0 || std::strcmp(argv[4], scenario.name) == 0;
}

// False: a profile could not be taken.
bool RunPhase(const load::Scenario& scenario, double seconds, bool profiled) {
  load::Size size;
  size.seconds = seconds;
  if (!profiled) {
    g_scenario = scenario.name;
    size.bridge = false;
    scenario.run(size);
    g_scenario = nullptr;
    return true;
  }
  std::size_t bytes = 0;
  auto profile = pprof::StartCpuProfile(
      [&](std::string_view piece) {
        bytes += piece.size();
        return true;
      },
      {scenario.rate});
  if (!profile.ok()) {
    std::fprintf(stderr, "%s: %s\n", scenario.name, profile.status().message.c_str());
    return false;
  }
  g_scenario = scenario.name;
  scenario.run(size);
  g_scenario = nullptr;  // neither symbolizing nor the next start is part of a scenario's line
  return profile->Stop().ok() && bytes > 0;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 2 ? std::atof(argv[1]) : 0;
  const double phase_seconds = argc > 2 ? std::atof(argv[2]) : 0;
  if (seconds <= 0 || phase_seconds <= 0) {
    std::fprintf(stderr, "usage: soak SECONDS PHASE_SECONDS [LEAK_KIB [SCENARIO|all [off]]]\n");
    return 2;
  }
  const std::size_t leak = argc > 3 ? static_cast<std::size_t>(std::atol(argv[3])) * 1024 : 0;
  const auto start = Clock::now();
  std::thread writer(WriteDown, start, leak);
  bool ok = true;
  while (ok && Clock::now() - start < std::chrono::duration<double>(seconds)) {
    for (const load::Scenario& scenario : load::Scenarios()) {
      if (Chosen(scenario, argc, argv)) ok = ok && RunPhase(scenario, phase_seconds, argc <= 5);
    }
    WriteDownRound(start);
    ++g_round;
  }
  g_stop = true;
  writer.join();
  const pprof::Stats stats = pprof::ReadStats();
  std::fprintf(stderr, "samples %llu, lost %llu\n", static_cast<unsigned long long>(stats.samples),
               static_cast<unsigned long long>(stats.samples_lost));
  return ok ? 0 : 1;
}
