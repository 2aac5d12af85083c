#include "src/pyroscope/failure_log.h"

#include <utility>

namespace pyroscope::internal {
namespace {

// There are a few dozen kinds at most; a server cannot make this grow.
constexpr std::size_t kMaxKinds = 64;

}  // namespace

std::string FailureLog::Failure(const std::string& kind, std::string line, TimePoint now) {
  if (failures_++ == 0) since_ = now;
  const auto known = kinds_.find(kind);
  if (known == kinds_.end()) {
    if (kinds_.size() >= kMaxKinds) return "";
    kinds_[kind].logged = now;
    failing_ = true;
    return line;
  }
  Kind& entry = known->second;
  if (now - entry.logged < interval_) {
    ++entry.unlogged;
    return "";
  }
  entry.logged = now;
  failing_ = true;
  const std::uint64_t unlogged = std::exchange(entry.unlogged, 0);
  if (unlogged > 0)
    line += " (and " + std::to_string(unlogged) + " times more since the last line)";
  return line;
}

std::string FailureLog::Recovery(TimePoint now) {
  const std::uint64_t failures = std::exchange(failures_, 0);
  if (!std::exchange(failing_, false)) return "";
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - since_).count();
  return "profiles are accepted again, after " + std::to_string(failures) +
         (failures == 1 ? " failure in " : " failures in ") + std::to_string(seconds) + " s";
}

void Say(pprof::LogLevel level, const std::string& line) noexcept {
  try {
    if (!line.empty()) pprof::Log(level, "pyroscope: " + line);
  } catch (...) {  // no memory for the line
  }
}

}  // namespace pyroscope::internal
