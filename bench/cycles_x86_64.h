// What the benchmarks need of the processor: its cycle counter, and code with rows of its own.
#pragma once

#include <time.h>

#include <cstdint>

#include "tests/support/busy.h"

namespace bench {

// Everything before it is done. Touches no memory, unlike clock_gettime.
inline std::uint64_t Cycles() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("mfence\n lfence\n rdtsc\n lfence" : "=a"(low), "=d"(high) : : "memory");
  return std::uint64_t{high} << 32 | low;
}

inline double CyclesToUs(std::uint64_t cycles) {
  static const double per_us = [] {
    const std::int64_t start_ns = test::ReadClockNs(CLOCK_MONOTONIC);
    const std::uint64_t start = Cycles();
    test::BurnMs(50);
    return static_cast<double>(Cycles() - start) * 1000 /
           static_cast<double>(test::ReadClockNs(CLOCK_MONOTONIC) - start_ns);
  }();
  return static_cast<double>(cycles) / per_us;
}

// Grows the function that calls it by 2 KiB that are never run, a row each 50 bytes.
[[gnu::always_inline]] inline void PadFunction() {
  asm volatile(
      "jmp 1f\n"
      ".rept 20\n"
      ".cfi_remember_state\n .cfi_adjust_cfa_offset 8\n .skip 50, 0x90\n"
      ".cfi_restore_state\n .skip 50, 0x90\n"
      ".endr\n"
      "1:");
}

}  // namespace bench
