// The threads of the libraries of this project: the collector, upload and server threads. They are
// not sampled; their CPU time is counted apart, so that a profile can be compared with the
// process's clock.
#pragma once

#include <cstdint>

namespace pprof::sampler {

// Counts `tid`, a thread of this process, as the library's from now until Remove, its CPU time
// before included. False: too many; the thread is then an ordinary one. Any thread. Not
// async-signal-safe.
bool AddOwnThread(std::int32_t tid) noexcept;
// The thread ends soon or stops working for the library. REQUIRES: added.
void RemoveOwnThread(std::int32_t tid) noexcept;
bool IsOwnThread(std::int32_t tid) noexcept;
std::uint64_t CountOwnThreads() noexcept;
// CPU time of own threads since process start, of those that were removed as well.
std::int64_t OwnThreadsCpuNs() noexcept;
// In a fork child none of them lives.
void ResetOwnThreadsInChild() noexcept;

}  // namespace pprof::sampler
