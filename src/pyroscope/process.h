// What there is once in a process: the running session, its end at exit(), and what fork() does.
#pragma once

#include <pprof/status.h>

#include <cstdint>
#include <memory>

#include "src/pyroscope/session.h"

namespace pyroscope::internal {

// Changes with every fork: a session belongs to the process that started it.
std::uint32_t ForkGeneration() noexcept;

// The part of pyroscope::Start behind the configuration. kUnavailable while a session of this
// process runs: two would push every sample twice. May throw std::bad_alloc.
pprof::Result<std::shared_ptr<Session>> StartOnlySession(Settings settings,
                                                         pprof::ProfileSource& source,
                                                         const Tuning& tuning);

// pyroscope::Start on a given environment and source, for tests.
pprof::Result<Profiler> StartWith(const Config& config, const Environment& environment,
                                  pprof::ProfileSource& source, const Tuning& tuning) noexcept;

}  // namespace pyroscope::internal
