// What a piece of work costs, measured in a process of its own.
#pragma once

#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

namespace test {

struct Cost {
  bool ended = false;        // without a signal, in less than a minute of CPU time
  double cpu_seconds = 0;    // user and system
  double peak_mib = 0;       // of resident memory, above what was there before
  std::uint64_t result = 0;  // of the work
};

inline double StatusMib(const std::string& name) {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == name + ":") {
      status >> word;
      return std::strtod(word.c_str(), nullptr) / 1024;
    }
  }
  return 0;
}

inline double CpuSeconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// REQUIRES: one thread. `work` returns a number; what else it does is lost with its process.
template <class Work>
Cost CostOf(Work work) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    const rlimit minute = {60, 60};
    setrlimit(RLIMIT_CPU, &minute);
    malloc_trim(0);  // or `work` could use what was freed before, unseen
    std::ofstream("/proc/self/clear_refs") << 5;  // the peak begins anew
    const double memory = StatusMib("VmRSS"), cpu = CpuSeconds();
    Cost cost;
    cost.result = work();
    cost.cpu_seconds = CpuSeconds() - cpu;
    cost.peak_mib = StatusMib("VmHWM") - memory;
    cost.ended = true;
    _exit(write(ends[1], &cost, sizeof cost) == sizeof cost ? 0 : 1);
  }
  close(ends[1]);
  Cost cost;
  if (read(ends[0], &cost, sizeof cost) != sizeof cost) cost = {};
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return cost;
}

}  // namespace test
