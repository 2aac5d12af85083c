// Config and environment -> everything the client needs, checked.
#pragma once

#include <pprof/status.h>
#include <pyroscope/pyroscope.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "src/pyroscope/endpoint.h"
#include "src/pyroscope/environment.h"
#include "src/pyroscope/headers.h"
#include "src/pyroscope/series_labels.h"

namespace pyroscope::internal {

struct Settings {
  Endpoint endpoint;
  Proxy proxy;
  std::string service_name;
  Tags tags;                         // the user's, and service_namespace
  Headers headers;                   // of every request, no name twice
  std::vector<std::string> secrets;  // what must not be written to a log
  std::string ca_file;
  std::chrono::milliseconds upload_interval{0};
  int sample_rate = 0;
};

// What Start has to do.
struct Resolved {
  enum class Off { kNo, kSwitchedOff, kNoServer };
  Off off = Off::kNo;
  Settings settings;                  // only if off is kNo
  std::vector<std::string> warnings;  // lines to log
  std::optional<pprof::LogLevel> log_level;
};

// Code wins over PYROSCOPE_* variables, these over OTEL_* ones. May throw std::bad_alloc.
pprof::Result<Resolved> Resolve(const Config& config, const Environment& environment);

}  // namespace pyroscope::internal
