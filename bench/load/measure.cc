#include "bench/load/measure.h"

#include <pprof/profile.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <type_traits>

#include "tests/support/busy.h"
#include "tests/support/pprof_reader.h"

namespace load {
namespace {

std::int64_t PeakKib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.compare(0, 6, "VmHWM:") == 0) return std::stoll(line.substr(6));
  }
  return 0;
}

double Seconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e9; }

// Those fields that load.cc looks at.
pprof::Stats Difference(const pprof::Stats& before, pprof::Stats after) {
  after.deliveries -= before.deliveries;
  after.samples -= before.samples;
  after.samples_lost -= before.samples_lost;
  after.stacks_complete -= before.stacks_complete;
  after.timers_refused -= before.timers_refused;
  after.samples_over_memory_cap -= before.samples_over_memory_cap;
  after.labels_dropped -= before.labels_dropped;
  after.library_cpu_ns -= before.library_cpu_ns;
  return after;
}

bool SumProfile(const std::string& bytes, Measured& measured) {
  std::string error;
  const auto read = pprof_reader::Read(bytes, &error);
  if (!read.has_value()) {
    std::fprintf(stderr, "the profile cannot be read: %s\n", error.c_str());
    return false;
  }
  measured.period_s = static_cast<double>(read->period_ns) / 1e9;
  for (const pprof_reader::Sample& sample : read->samples) {
    const bool loss = sample.HasFunction("[lost") || sample.HasFunction("[not sampled");
    (loss ? measured.loss_s : measured.profile_s) += static_cast<double>(sample.cpu_ns) / 1e9;
  }
  return true;
}

}  // namespace

Measured Measure(const Scenario& scenario, const Size& size, int rate) {
  Measured measured;
  std::string bytes;
  std::optional<pprof::CpuProfile> profile;
  if (rate > 0) {
    auto started = pprof::StartCpuProfile(
        [&](std::string_view piece) {
          bytes += piece;
          return true;
        },
        {rate});
    if (!started.ok()) {
      std::fprintf(stderr, "no profile: %s\n", started.status().message.c_str());
      return measured;
    }
    profile = std::move(*started);
  }
  const pprof::Stats before = pprof::ReadStats();
  const std::int64_t cpu_before = test::ProcessCpuNs();
  const auto start = std::chrono::steady_clock::now();
  measured.done = scenario.run(size);
  measured.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const std::int64_t cpu_ns = test::ProcessCpuNs() - cpu_before;
  measured.library_s = Seconds(pprof::ReadStats().library_cpu_ns - before.library_cpu_ns);
  measured.cpu_s = static_cast<double>(cpu_ns) / 1e9 - measured.library_s;
  measured.peak_kib = PeakKib();
  measured.valid = !profile.has_value() || profile->Stop().ok();
  measured.end_kib = PeakKib();
  measured.stats = Difference(before, pprof::ReadStats());
  if (profile.has_value()) measured.valid = measured.valid && SumProfile(bytes, measured);
  return measured;
}

Measured MeasureInChild(const Scenario& scenario, const Size& size, int rate) {
  static_assert(std::is_trivially_copyable_v<Measured>, "goes through a pipe");
  Measured measured;
  int ends[2];
  if (pipe(ends) != 0) return measured;
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    const Measured result = Measure(scenario, size, rate);
    const bool written = write(ends[1], &result, sizeof(result)) == sizeof(result);
    _exit(written ? 0 : 1);
  }
  close(ends[1]);
  Measured result;
  const bool read_all = child > 0 && read(ends[0], &result, sizeof(result)) == sizeof(result);
  close(ends[0]);
  int status = 0;
  if (child > 0) waitpid(child, &status, 0);
  return read_all && status == 0 ? result : measured;
}

}  // namespace load
