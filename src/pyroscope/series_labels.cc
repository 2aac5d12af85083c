#include "src/pyroscope/series_labels.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "src/pyroscope/text.h"

namespace pyroscope::internal {
namespace {

using pprof::Status;

// Limits of a Pyroscope server (pkg/validation/limits.go), which it answers with 400 or 429.
constexpr std::size_t kMaxSeriesLabels = 30;  // with the sample labels that become series labels
constexpr std::size_t kMaxSamples = 16000;
// The server takes 4 MiB, but one request of more than the tenant's burst of 2 MiB is refused for
// ever, and other processes share that burst.
constexpr std::size_t kMaxRawBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxLabelNameBytes = 1024;
constexpr std::size_t kMaxLabelValueBytes = 2048;
constexpr std::size_t kMaxStringBytes = 65535;
// Each span name is a series of its own in the server. A service has tens to a few hundred
// operations; thousands come from names that hold ids or URLs.
constexpr std::size_t kMaxSpanNames = 1000;

// __name__, service_name and four defaults leave room for three labels of samples (span_id,
// trace_id, span_name) and one of the user's.
constexpr std::size_t kMaxTags = 20;
constexpr std::size_t kQuoteBytes = 80;

constexpr std::string_view kServiceName = "service_name";
constexpr std::string_view kFamily = "process_cpu";

Status Wrong(std::string message) { return {Status::Code::kInvalidArgument, std::move(message)}; }

std::string Quoted(std::string_view text) { return '"' + Printable(text, kQuoteBytes) + '"'; }

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.';
}

// Older servers and relabeling proxies write '.' as '_', so that such names meet.
std::string Sanitized(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

Status CheckTagName(const std::string& name) {
  if (name.empty()) return Wrong("tags: a name is empty");
  if (!std::all_of(name.begin(), name.end(), IsNameCharacter) ||
      (name[0] >= '0' && name[0] <= '9')) {
    return Wrong("tags: the name " + Quoted(name) +
                 " must consist of letters, digits, '_' and '.', and not begin with a digit");
  }
  if (name.size() > kMaxLabelNameBytes) {
    return Wrong("tags: the name " + Quoted(name) + " is longer than 1024 bytes");
  }
  if (name.compare(0, 2, "__") == 0) {
    return Wrong("tags: the name " + Quoted(name) +
                 " begins with \"__\", which the server keeps "
                 "for itself: choose another one");
  }
  for (const char* const reserved : {"span_id", "trace_id", "span_name", "profile_id"}) {
    if (name != reserved) continue;
    return Wrong("tags: " + Quoted(name) +
                 " would hide the label of every sample: choose another "
                 "name");
  }
  return {};
}

Status CheckTagValue(const std::string& name, const std::string& value) {
  if (value.size() > kMaxLabelValueBytes) {
    return Wrong("tags: the value of " + Quoted(name) + " is longer than 2048 bytes");
  }
  if (!IsUtf8(value)) return Wrong("tags: the value of " + Quoted(name) + " is not UTF-8");
  return {};
}

bool HasControlCharacter(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return (c >= 0 && c < 0x20) || c == 0x7F; });
}

Tags DefaultLabels() {
  return {
    {"otel.scope.name", "com.grafana.pyroscope/cpp"}, {"otel.scope.version", OTELPROF_VERSION},
        {"process.runtime.name", "cpp"},
#if defined(__clang__)
    {
      "process.runtime.version", "clang " __clang_version__
    }
  };
#else
    {
      "process.runtime.version", "gcc " __VERSION__
    }
  };
#endif
}

}  // namespace

Status CheckTags(const Tags& tags, const std::string& service_name) {
  std::map<std::string, std::string> sanitized;
  for (const auto& [name, value] : tags) {
    if (Status status = CheckTagName(name); !status.ok()) return status;
    if (Status status = CheckTagValue(name, value); !status.ok()) return status;
    if (value.empty()) continue;
    const auto [other, added] = sanitized.emplace(Sanitized(name), name);
    if (!added) {
      return Wrong("tags: " + Quoted(other->second) + " and " + Quoted(name) +
                   " are one label for servers that write '.' as '_': keep one");
    }
    if (Sanitized(name) == kServiceName && value != service_name) {
      return Wrong("tags: " + Quoted(name) + " is the application name already, which is " +
                   Quoted(service_name) + ": keep one");
    }
  }
  if (sanitized.size() > kMaxTags) {
    return Wrong("tags: " + std::to_string(sanitized.size()) + " are too many: at most " +
                 std::to_string(kMaxTags) +
                 ", because Pyroscope takes 30 labels a series and spans need some of them");
  }
  return {};
}

Status CheckServiceName(const std::string& name) {
  if (name.empty()) {
    return Wrong(
        "application_name is empty: set Config::application_name, "
        "PYROSCOPE_APPLICATION_NAME or OTEL_SERVICE_NAME");
  }
  if (name.size() > kMaxLabelValueBytes) return Wrong("application_name is longer than 2048 bytes");
  if (!IsUtf8(name)) return Wrong("application_name " + Quoted(name) + " is not UTF-8");
  if (HasControlCharacter(name) || name != Trim(name)) {
    return Wrong("application_name " + Quoted(name) +
                 " holds a control character or blanks at its ends: take them out");
  }
  if (name.find_first_of("{}") != std::string::npos) {
    return Wrong("application_name " + Quoted(name) +
                 " holds a brace: give labels in Config::tags or PYROSCOPE_LABELS");
  }
  return {};
}

SeriesLabels MakeSeriesLabels(const std::string& service_name, const Tags& tags) {
  Tags labels;
  std::map<std::string, bool> given;
  for (const auto& [name, value] : tags) {
    given[Sanitized(name)] = true;
    if (!value.empty() && Sanitized(name) != kServiceName) labels[name] = value;
  }
  for (const auto& [name, value] : DefaultLabels()) {
    if (given.count(Sanitized(name)) == 0) labels[name] = value;
  }
  labels[std::string(kServiceName)] = service_name;
  labels["__name__"] = kFamily;
  return {labels.begin(), labels.end()};
}

pprof::ProfileLimits PushLimits(const SeriesLabels& labels) {
  pprof::ProfileLimits limits;
  limits.max_samples = kMaxSamples;
  limits.max_bytes = kMaxRawBytes;
  limits.max_span_names = kMaxSpanNames;
  limits.max_labels_per_sample = kMaxSeriesLabels - labels.size();
  limits.max_label_name_bytes = kMaxLabelNameBytes;
  limits.max_label_value_bytes = kMaxLabelValueBytes;
  limits.max_string_bytes = kMaxStringBytes;
  limits.name_every_location = true;
  return limits;
}

}  // namespace pyroscope::internal
