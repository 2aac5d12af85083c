#include "src/pprof/profiler/grafana.h"

#include <pprof/log.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace pprof::profiler {
namespace {

std::string Setting(const std::string& option, const char* variable) {
  if (!option.empty()) return option;
  const char* const value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

bool StartsWith(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

bool IsAddress(std::string_view text) {
  constexpr std::size_t kLongest = 2048;
  const std::string_view scheme = StartsWith(text, "https://") ? "https://" : "http://";
  if (!StartsWith(text, scheme) || text.size() > kLongest) return false;
  text.remove_prefix(scheme.size());
  return !text.empty() && text.front() != '/' && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7f &&
           std::string_view("@?#<>\"\\^`{|}").find(c) == std::string_view::npos;
  });
}

// As Grafana allows them: 40 letters, digits, '-' and '_'.
bool IsUid(std::string_view text) {
  constexpr std::size_t kLongest = 40;
  return text.size() <= kLongest && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
         });
}

}  // namespace

Grafana FindGrafana(const SpanWatchOptions& options) {
  Grafana found{Setting(options.grafana, "OTEL_PROFILING_GRAFANA_URL"),
                Setting(options.grafana_datasource, "OTEL_PROFILING_GRAFANA_DATASOURCE")};
  if (found.address.empty()) return {};
  if (!IsAddress(found.address)) {
    Log(LogLevel::kWarning,
        "the address of Grafana (OTEL_PROFILING_GRAFANA_URL) is not http(s)://host[:port][/path] "
        "without a password: the page of spans has no links to it");
    return {};
  }
  if (!IsUid(found.datasource)) {
    Log(LogLevel::kWarning,
        "OTEL_PROFILING_GRAFANA_DATASOURCE is not the uid of a data source (at most 40 letters, "
        "digits, - and _): \"pyroscope\" is used");
    found.datasource.clear();
  }
  if (found.datasource.empty()) found.datasource = "pyroscope";
  return found;
}

}  // namespace pprof::profiler
