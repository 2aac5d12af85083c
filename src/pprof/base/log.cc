#include "src/pprof/base/log.h"

#include <cstdio>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace pprof {
namespace {

// Leaked: a line may be spoken in static destruction.
struct LogState {
  // Recursive: the host's handler may log again or fork.
  std::recursive_mutex mutex;
  LogHandler handler;  // only when `replaced`
  bool replaced = false;
  std::optional<LogLevel> level;  // SetLogLevel's
  std::set<std::string, std::less<>> spoken;
};

LogState& State() {
  static LogState* const state = new LogState();
  return *state;
}

const char* NameOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "log";
}

void SpeakDefault(LogLevel level, std::string_view line) {
  std::fprintf(stderr, "otel-profiling-cpp: %s: %.*s\n", NameOf(level),
               static_cast<int>(line.size()), line.data());
}

void Speak(LogState& state, LogLevel level, std::string_view line) {
  const LogLevel least = state.replaced ? LogLevel::kDebug : LogLevel::kWarning;
  if (level < state.level.value_or(least)) return;
  if (!state.replaced) return SpeakDefault(level, line);
  if (state.handler) state.handler(level, line);
}

}  // namespace

void SetLogHandler(LogHandler handler) noexcept {
  LogState& state = State();
  const std::lock_guard<std::recursive_mutex> lock(state.mutex);
  state.handler = std::move(handler);
  state.replaced = true;
}

void SetLogLevel(LogLevel level) noexcept {
  LogState& state = State();
  const std::lock_guard<std::recursive_mutex> lock(state.mutex);
  state.level = level;
}

void Log(LogLevel level, std::string_view line) noexcept { base::Log(level, line); }

namespace base {

void Log(LogLevel level, std::string_view line) noexcept {
  try {
    LogState& state = State();
    const std::lock_guard<std::recursive_mutex> lock(state.mutex);
    Speak(state, level, line);
  } catch (...) {  // the host's log handler threw, or there is no memory: the line is lost, the
                   // host goes on
  }
}

void LogOnce(LogLevel level, const char* kind, std::string_view line) noexcept {
  try {
    LogState& state = State();
    const std::lock_guard<std::recursive_mutex> lock(state.mutex);
    if (!state.spoken.emplace(kind).second) return;
    Speak(state, level, line);
  } catch (...) {
  }
}

void LockLogForFork() noexcept { State().mutex.lock(); }
void UnlockLogInParent() noexcept { State().mutex.unlock(); }
// A recursive mutex knows its owner by thread id, which is another one here: it cannot be unlocked,
// only made anew.
void ResetLogInChild() noexcept { new (&State().mutex) std::recursive_mutex(); }

}  // namespace base
}  // namespace pprof
