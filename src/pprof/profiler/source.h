// Shared by the two ways to a CPU profile: profile.h and profile_source.h.
#pragma once

#include <pprof/status.h>

namespace pprof::profiler {

// Whether a CPU profile can have this rate, in Hz.
Status CheckRate(int rate);

}  // namespace pprof::profiler
