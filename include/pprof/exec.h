// For programs that replace themselves with execve() while a profile runs (re-exec, graceful
// restart). fork() followed by execve(), posix_spawn() and system() need nothing of this: a child
// has no timer.
#pragma once

#include <pprof/export.h>

namespace pprof {

// Call it right before execve(), on the thread that calls that. Afterwards no timer of this library
// exists and none of its signals is pending for the calling thread, so that none can reach the new
// program, where the default action of SIGPROF ends the process ("Profiling timer expired"). The
// signal mask, which the new program inherits, is what it was; a SIGPROF of somebody else stays
// pending.
//
// Running profiles are lost with the old program: Stop() those that you want to keep before this
// call. Until ExecFailed() nothing is sampled, and CPU time goes under the frame "[not sampled:
// paused for exec]"; a profile that is the first to start after this call does sample. Without a
// running profile this does next to nothing. Any ordinary thread. Takes locks: not
// async-signal-safe, and not for a child of vfork().
PPROF_EXPORT void PrepareForExec() noexcept;

// For when execve() returned: sampling goes on. Without PrepareForExec() before it does nothing.
// Any ordinary thread. Not async-signal-safe.
PPROF_EXPORT void ExecFailed() noexcept;

}  // namespace pprof
