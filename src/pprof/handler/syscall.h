// System calls made without the C library: no errno, no cancellation point, no lazy binding. One
// file an architecture holds the instruction.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstdint>

#if defined(__x86_64__)
#include "src/pprof/handler/syscall_x86_64.h"
#elif defined(__aarch64__)
#include "src/pprof/handler/syscall_aarch64.h"
#else
#error "otel-profiling-cpp: no system call for this architecture"
#endif

namespace pprof::handler {

// Wakes one waiter. Async-signal-safe.
inline void RawFutexWake(std::atomic<std::uint32_t>* word) noexcept {
  RawSyscall4(SYS_futex, reinterpret_cast<long>(word), FUTEX_WAKE_PRIVATE, 1, 0);
}

}  // namespace pprof::handler
