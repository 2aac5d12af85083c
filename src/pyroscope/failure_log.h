// Log lines about what goes wrong again and again: each kind at once the first time, then at most
// once a minute, and one line when all is well again.
#pragma once

#include <pprof/log.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "src/pyroscope/clock.h"

namespace pyroscope::internal {

// Not thread-safe: its owner locks.
class FailureLog {
 public:
  explicit FailureLog(Duration interval) : interval_(interval) {}

  // The line to log, or empty. Says how many of this kind were not logged.
  std::string Failure(const std::string& kind, std::string line, TimePoint now);
  // The line to log, or empty: only after a failure that was logged.
  std::string Recovery(TimePoint now);

 private:
  struct Kind {
    TimePoint logged;
    std::uint64_t unlogged = 0;
  };
  const Duration interval_;
  std::map<std::string, Kind> kinds_;
  bool failing_ = false;  // a failure was logged, and no recovery since
  TimePoint since_;
  std::uint64_t failures_ = 0;
};

// Through pprof::Log, with the name of this library before it.
void Say(pprof::LogLevel level, const std::string& line) noexcept;

}  // namespace pyroscope::internal
