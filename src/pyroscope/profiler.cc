// The public API: configuration in, a session out.

#include <pprof/log.h>
#include <pprof/profile_source.h>
#include <pyroscope/pyroscope.h>

#include <atomic>
#include <utility>

#include "src/pyroscope/failure_log.h"
#include "src/pyroscope/process.h"
#include "src/pyroscope/session.h"
#include "src/pyroscope/settings.h"

namespace pyroscope {
namespace {

using pprof::LogLevel;
using pprof::Result;
using pprof::Status;

constexpr std::chrono::milliseconds kStopTimeout = std::chrono::seconds(5);

Status NoMemory() { return {Status::Code::kUnavailable, "no memory"}; }

void WarnOnce(const std::vector<std::string>& warnings) {
  static std::atomic<bool> warned{false};
  if (warnings.empty() || warned.exchange(true)) return;
  for (const std::string& warning : warnings) internal::Say(LogLevel::kWarning, warning);
}

Profiler Off(internal::Resolved::Off why) {
  if (why == internal::Resolved::Off::kNoServer) {
    internal::Say(LogLevel::kWarning,
                  "no profiles are sent: set Config::server_address or PYROSCOPE_SERVER_ADDRESS, "
                  "or PYROSCOPE_PROFILING_ENABLED=false to silence this line");
  } else {
    internal::Say(LogLevel::kInfo, "switched off by PYROSCOPE_PROFILING_ENABLED");
  }
  return Profiler(nullptr);
}

}  // namespace

namespace internal {

Result<Profiler> StartWith(const Config& config, const Environment& environment,
                           pprof::ProfileSource& source, const Tuning& tuning) noexcept {
  try {
    Result<Resolved> resolved = Resolve(config, environment);
    if (!resolved.ok()) return resolved.status();
    if (resolved->log_level) pprof::SetLogLevel(*resolved->log_level);
    if (resolved->off != Resolved::Off::kNo) return Off(resolved->off);
    WarnOnce(resolved->warnings);
    const std::string address = resolved->settings.endpoint.address;
    const std::string name = resolved->settings.service_name;
    auto session = StartOnlySession(std::move(resolved->settings), source, tuning);
    if (!session.ok()) return session.status();
    Say(LogLevel::kInfo, "profiles of \"" + Printable(name, 200) + "\" go to " + address);
    return Profiler(std::move(*session));
  } catch (...) {
    return NoMemory();
  }
}

}  // namespace internal

// NOLINTNEXTLINE(performance-unnecessary-value-param): the public signature
Result<Profiler> Start(Config config) noexcept {
  return internal::StartWith(config, internal::ProcessEnvironment(), pprof::CpuProfileSource(), {});
}

Profiler::Profiler(std::shared_ptr<internal::Session> session) noexcept
    : session_(std::move(session)) {}
Profiler::Profiler(Profiler&&) noexcept = default;

Profiler& Profiler::operator=(Profiler&& other) noexcept {
  if (this != &other) {
    const Profiler old(std::move(session_));  // stops it
    session_ = std::move(other.session_);
  }
  return *this;
}

Profiler::~Profiler() {
  if (!running()) return;
  const Status status = Stop(kStopTimeout);
  if (!status.ok() && status.code != Status::Code::kStopped) {
    try {
      internal::Say(LogLevel::kError, "at the end: " + status.message);
    } catch (...) {  // no memory for the line
    }
  }
}

Status Profiler::Stop(std::chrono::milliseconds timeout) noexcept {
  try {
    return session_ == nullptr ? Status{} : session_->Stop(timeout);
  } catch (...) {
    return NoMemory();
  }
}

Status Profiler::Flush(std::chrono::milliseconds timeout) noexcept {
  try {
    return session_ == nullptr ? Status{} : session_->Flush(timeout);
  } catch (...) {
    return NoMemory();
  }
}

Status Profiler::SetTags(std::map<std::string, std::string> tags) noexcept {
  try {
    return session_ == nullptr ? Status{} : session_->SetTags(std::move(tags));
  } catch (...) {
    return NoMemory();
  }
}

bool Profiler::running() const noexcept { return session_ != nullptr && session_->running(); }

}  // namespace pyroscope
