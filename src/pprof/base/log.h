// How the library speaks to its host: one line a kind of problem, through the handler of
// <pprof/log.h>.
#pragma once

#include <pprof/log.h>

#include <string_view>

namespace pprof::base {

// One line. Any ordinary thread. Not async-signal-safe. Never throws: a line that cannot be built
// is dropped.
void Log(LogLevel level, std::string_view line) noexcept;

// The first line of a kind in this process; later ones are dropped. `kind`: a string literal of its
// own for each kind.
void LogOnce(LogLevel level, const char* kind, std::string_view line) noexcept;

// fork(): the first before it, then one of the others.
void LockLogForFork() noexcept;
void UnlockLogInParent() noexcept;
void ResetLogInChild() noexcept;

}  // namespace pprof::base
