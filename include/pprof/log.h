// Where the libraries of this project speak. Each kind of problem is reported once.
#pragma once

#include <functional>
#include <string_view>

#include <pprof/export.h>

namespace pprof {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

using LogHandler = std::function<void(LogLevel level, std::string_view line)>;

// Replaces the log handler of all libraries of this project. Default: warnings and errors to
// stderr. An empty function silences them. Called from any ordinary thread, one call at a time,
// never from a signal handler; `line` has no newline and lives for the call only. The handler must
// not call SetLogHandler.
PPROF_EXPORT void SetLogHandler(LogHandler handler) noexcept;

// Lines below `level` are dropped. Without this call a handler of your own gets every line. Any
// thread. Not async-signal-safe.
PPROF_EXPORT void SetLogLevel(LogLevel level) noexcept;

// One line through the handler above; how the other libraries of this project speak. Any ordinary
// thread. Not async-signal-safe. A line that cannot be built is dropped.
PPROF_EXPORT void Log(LogLevel level, std::string_view line) noexcept;

}  // namespace pprof
