// From counted samples to a pprof profile: addresses get modules, functions and lines, contexts
// become labels.
#pragma once

#include "src/pprof/profile/profile.h"
#include "src/pprof/sampler/window.h"
#include "src/pprof/symbolize/symbolizer.h"

namespace pprof::profiler {

// REQUIRES: the window is closed. May throw std::bad_alloc. Not async-signal-safe.
profile::Profile Assemble(const sampler::Window& window, symbolize::Symbolizer& symbolizer);

}  // namespace pprof::profiler
