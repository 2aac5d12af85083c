// CLOCK_MONOTONIC without the C library: its wrapper may set errno, may be replaced by the host
// (LD_PRELOAD), and between two samples leaves the processor's caches with the rest. All times that
// are compared with those of samples come from here.
#pragma once

#include <time.h>

#include <cstdint>

#include "src/pprof/handler/syscall.h"
#include "src/pprof/handler/thread_record.h"

namespace pprof::handler {

// Async-signal-safe. Leaves errno alone.
inline std::uint64_t MonotonicNs() noexcept {
  timespec now{};
  VdsoClock* const clock = g_shared.clock.load(std::memory_order_relaxed);
  if (clock == nullptr || clock(CLOCK_MONOTONIC, &now) != 0) {
    RawSyscall4(SYS_clock_gettime, CLOCK_MONOTONIC, reinterpret_cast<long>(&now), 0, 0);
  }
  return static_cast<std::uint64_t>(now.tv_sec) * 1000000000u +
         static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace pprof::handler
