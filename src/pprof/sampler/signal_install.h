// Our SIGPROF handler in the process's signal table.
#pragma once

#include <pprof/status.h>

namespace pprof::sampler {

// Installs the handler unless it is in place, keeping what was there to pass foreign signals on.
// The default action is never put back: a SIGPROF that is still pending would kill the process. Not
// async-signal-safe.
Status InstallSignalHandler() noexcept;
// Takes the signals of our timers that the calling thread has blocked out of what is pending for
// it; signals of others stay pending.
void DropPendingSignals() noexcept;

// True while SIGPROF is handled by us. One cheap system call.
bool SignalHandlerInPlace() noexcept;

}  // namespace pprof::sampler
