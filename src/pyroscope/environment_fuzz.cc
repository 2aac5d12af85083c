// Whatever the environment says: what becomes a label or a header of a request keeps their rules.
// The first byte chooses the variable.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "src/pyroscope/environment.h"
#include "src/pyroscope/headers.h"
#include "src/pyroscope/series_labels.h"
#include "src/pyroscope/settings.h"
#include "src/pyroscope/text.h"

namespace {

using namespace pyroscope::internal;

void Require(bool truth) {
  if (!truth) std::abort();
}

void RequireGood(const Settings& settings) {
  for (const auto& [name, value] : settings.headers) {
    Require(!name.empty() && name.find_first_of(std::string("\r\n:\0 ", 5)) == std::string::npos);
    Require(value.find_first_of(std::string("\r\n\0", 3)) == std::string::npos);
  }
  const SeriesLabels labels = MakeSeriesLabels(settings.service_name, settings.tags);
  Require(labels.size() <= 27);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto& [name, value] = labels[i];
    Require(!name.empty() && name.size() <= 1024 && IsUtf8(name));
    Require(!value.empty() && value.size() <= 2048 && IsUtf8(value));
    Require(i == 0 || labels[i - 1].first < name);
  }
  Require(PushLimits(labels).max_labels_per_sample >= 3);
  Require(settings.upload_interval.count() >= 100);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static constexpr const char* kNames[] = {
      "PYROSCOPE_LABELS",          "PYROSCOPE_HTTP_HEADERS",     "OTEL_RESOURCE_ATTRIBUTES",
      "PYROSCOPE_UPLOAD_INTERVAL", "PYROSCOPE_APPLICATION_NAME", "PYROSCOPE_BASIC_AUTH_PASSWORD",
      "PYROSCOPE_TENANT_ID",       "PYROSCOPE_LOG_LEVEL"};
  const std::string chosen = kNames[data[0] % (sizeof kNames / sizeof *kNames)];
  // A variable ends at its first NUL.
  const std::string value(std::string(reinterpret_cast<const char*>(data + 1), size - 1).c_str());
  const Environment environment = [&](const char* name) -> std::string {
    if (name == chosen) return value;
    if (name == std::string("PYROSCOPE_APPLICATION_NAME")) return "shop";
    if (name == std::string("PYROSCOPE_SERVER_ADDRESS")) return "http://localhost:4040";
    return "";
  };
  const auto resolved = Resolve({}, environment);
  if (resolved.ok()) {
    RequireGood((*resolved).settings);
  } else {
    const std::string& message = resolved.status().message;
    Require(!message.empty() && Printable(message, message.size() + 3) == message);
  }
  return 0;
}
