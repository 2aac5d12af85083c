// Several copies of this library in one process: a program that links it statically and a plugin
// that does, two versions of the shared library. Only one may sample at a time: SIGPROF has one
// handler, and two profilers would each count the CPU time of the other's handler. Each copy has a
// record, which the others find by an ELF note in its module, whatever is exported and however it
// was loaded.
//
// Not seen: copies in another namespace of the loader (dlmopen).
#pragma once

#include <pprof/status.h>
#include <signal.h>

#include <cstdint>

namespace pprof::sampler {

// Makes this copy the one that samples, or says which other one does. Also once more by a copy that
// is. Any ordinary thread, one at a time. Not async-signal-safe.
Status ClaimProcess() noexcept;
// Whoever comes next may have it. Also in a fork child. Async-signal-safe.
void ReleaseProcess() noexcept;
// Whether the last ClaimProcess was refused; says so in the log, once a process. No lock held.
void SayRefusedClaim() noexcept;

// A number for our cookies that no other copy has, nor its place for the mark of a signal that was
// passed on. REQUIRES: claimed.
std::uint32_t ChooseMagic() noexcept;

// Whether that handler of SIGPROF belongs to another copy.
bool BelongsToAnotherCopy(void (*handler)(int, siginfo_t*, void*)) noexcept;

}  // namespace pprof::sampler
