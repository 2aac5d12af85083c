// Our SIGPROF handler in the process's signal table.
#pragma once

#include <pprof/status.h>

namespace pprof::sampler {

// Installs the handler unless it is in place, keeping what was there to pass foreign signals on.
// The default action is never put back: a SIGPROF that is still pending would kill the process. Not
// async-signal-safe.
Status InstallSignalHandler() noexcept;

// True while SIGPROF is handled by us. One cheap system call.
bool SignalHandlerInPlace() noexcept;

}  // namespace pprof::sampler
