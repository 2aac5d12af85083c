// One CPU-time timer a thread, by raw system calls: the C library's timer_create rejects the clocks
// of other threads.
#pragma once

#include <cstdint>

namespace pprof::sampler {

// Creates and starts a timer on the CPU clock of thread `tid` of this process that sends it SIGPROF
// with `cookie`: first after `first_ns` of CPU time, then every `period_ns`. Returns the kernel's
// timer id, or -errno. Any thread. Not async-signal-safe.
std::int32_t CreateThreadTimer(std::int32_t tid, std::uint64_t cookie, std::int64_t first_ns,
                               std::int64_t period_ns) noexcept;
void DeleteThreadTimer(std::int32_t timer) noexcept;
// True if the timer's thread has ended (its tid may belong to a new thread by now).
bool ThreadTimerOrphaned(std::int32_t timer) noexcept;

// CPU time of a thread of this process; -1 if it is gone.
std::int64_t ThreadCpuNs(std::int32_t tid) noexcept;

std::int64_t ProcessCpuNs() noexcept;
std::int64_t MonotonicNs() noexcept;  // as in the times of samples
std::int64_t RealtimeNs() noexcept;   // since the epoch

}  // namespace pprof::sampler
