// The process's one Symbolizer: its answers are remembered from profile to profile.
#pragma once

#include "src/pprof/profile/profile.h"
#include "src/pprof/sampler/window.h"
#include "src/pprof/symbolize/symbolizer.h"

namespace pprof::profiler {

// Assemble with the shared Symbolizer; callers wait for each other. May throw std::bad_alloc. Not
// async-signal-safe.
profile::Profile AssembleShared(const sampler::Window& window);

symbolize::SymbolizerStats ReadSymbolizerStats() noexcept;

}  // namespace pprof::profiler
