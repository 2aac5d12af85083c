// The data of one running profile: what the collector puts in, what the profiler reads when the
// window is closed.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>

#include "src/pprof/elf/module.h"
#include "src/pprof/sampler/aggregate.h"

namespace pprof::sampler {

// Belongs to its profile; the sampler holds a pointer between Sampler::Start and Sampler::Stop and
// changes it only then.
struct Window {
  static constexpr std::uint64_t kOpen = std::numeric_limits<std::uint64_t>::max();

  std::uint64_t start_ns = 0;  // CLOCK_MONOTONIC; a sample belongs to the window by its own time
  std::uint64_t end_ns = kOpen;
  std::int64_t wall_start_ns = 0;  // since the epoch
  std::int64_t period_ns = 0;
  std::int64_t process_cpu_start_ns = 0;
  std::int64_t process_cpu_ns = 0;  // of the process over the window, set by Stop
  std::uint64_t library_cpu_start_ns = 0;
  std::uint64_t library_cpu_ns = 0;  // of the library's own threads, part of the above
  Aggregate aggregate;
  // By ModuleList::version: what explains the addresses of stacks of that version.
  std::map<std::uint64_t, std::shared_ptr<const elf::ModuleList>> modules;

  bool Holds(std::uint64_t time_ns) const { return start_ns <= time_ns && time_ns < end_ns; }
};

}  // namespace pprof::sampler
