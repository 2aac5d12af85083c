#include "src/pprof/encode/partial_profile.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace pprof::encode {
namespace {

using profile::Profile;
using profile::StringId;

// Upper bounds of message sizes (protobuf encoding: a tag is one byte here, an index at most five,
// an address or count ten).
constexpr std::size_t kIndex = 1 + 5;
constexpr std::size_t kNumber = 1 + 10;
constexpr std::size_t kMessage = 1 + 5;  // tag and length of a message or string in its parent
constexpr std::size_t kMappingBytes = kMessage + 3 * kIndex + 3 * kNumber + std::size_t{4} * 2;
constexpr std::size_t kFunctionBytes = kMessage + 4 * kIndex + kNumber;
constexpr std::size_t kLocationBytes = kMessage + 2 * kIndex + kNumber;
constexpr std::size_t kLineBytes = kMessage + kIndex + kNumber;
constexpr std::size_t kLabelBytes = kMessage + 2 * kIndex;
constexpr std::size_t kSampleBytes = kMessage + 2 * kMessage + std::size_t{2} * 10;
// Sample types, times, period, comments, the strings that every profile has, "[truncated]" and the
// mapping of locations without one.
constexpr std::size_t kProfileBytes = 2048;

constexpr std::string_view kTruncated = "[truncated]";
// The profiler's own frames ("[lost: ring full]") stand in no file.
constexpr std::string_view kUnmapped = "[otel-profiling-cpp]";
constexpr std::size_t kFallbackExtra = 32;  // "+0x" and 16 digits behind a file's name

std::size_t Limited(std::size_t size, std::size_t limit) {
  return limit == 0 ? size : std::min(size, limit);
}

}  // namespace

PartialProfile::PartialProfile(const Profile& source, const ProfileLimits& limits,
                               ProfileRepairs* repairs)
    : source_(source),
      limits_(limits),
      repairs_(repairs),
      bytes_(kProfileBytes),
      strings_(source.strings().size(), kNone),
      mappings_(source.mappings.size(), kNone),
      functions_(source.functions.size(), kNone),
      locations_(source.locations.size(), kNone),
      string_visits_(source.strings().size()),
      mapping_visits_(source.mappings.size()),
      function_visits_(source.functions.size()),
      location_visits_(source.locations.size()) {
  profile_.period_ns = source.period_ns;
  profile_.time_ns = source.time_ns;
  profile_.duration_ns = source.duration_ns;
  ++visit_;
  if (source.mappings.empty()) return;
  bytes_ += MappingCost(0);
  Mapping(0);  // the main binary stays the first
}

// The profile's text is valid UTF-8: a cut falls between two characters.
std::string_view PartialProfile::Cut(std::string_view text, std::size_t limit) {
  if (limit == 0 || text.size() <= limit) return text;
  ++repairs_->strings_shortened;
  std::size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

StringId PartialProfile::String(StringId id, std::size_t limit) {
  const std::string_view text = source_.strings()[id];
  if (limit != 0 && text.size() > limit) return profile_.InternValid(Cut(text, limit));
  if (strings_[id] == kNone) strings_[id] = profile_.InternValid(text);
  return strings_[id];
}

std::int32_t PartialProfile::Mapping(std::int32_t index) {
  const auto at = static_cast<std::size_t>(index);
  if (mappings_[at] == kNone) {
    profile::Mapping mapping = source_.mappings[at];
    mapping.filename = String(mapping.filename, limits_.max_string_bytes);
    mapping.build_id = String(mapping.build_id, limits_.max_string_bytes);
    mappings_[at] = static_cast<std::uint32_t>(profile_.mappings.size());
    profile_.mappings.push_back(mapping);
  }
  return static_cast<std::int32_t>(mappings_[at]);
}

std::uint32_t PartialProfile::Function(std::uint32_t index) {
  if (functions_[index] == kNone) {
    profile::Function function = source_.functions[index];
    function.name = String(function.name, limits_.max_string_bytes);
    function.system_name = String(function.system_name, limits_.max_string_bytes);
    function.filename = String(function.filename, limits_.max_string_bytes);
    functions_[index] = profile_.AddFunction(function);
  }
  return functions_[index];
}

std::string PartialProfile::FallbackName(const profile::Location& location) const {
  char offset[32];
  if (location.mapping < 0) {
    std::snprintf(offset, sizeof offset, "0x%llx",
                  static_cast<unsigned long long>(location.address));
    return offset;
  }
  const profile::Mapping& mapping = source_.mappings[static_cast<std::size_t>(location.mapping)];
  const std::string_view path = source_.strings()[mapping.filename];
  const unsigned long long in_file = location.address - mapping.memory_start + mapping.file_offset;
  std::snprintf(offset, sizeof offset, "+0x%llx", in_file);
  return std::string(path.substr(path.rfind('/') + 1)) + offset;
}

std::uint32_t PartialProfile::Location(std::uint32_t index) {
  if (locations_[index] != kNone) return locations_[index];
  const profile::Location& from = source_.locations[index];
  profile::Location location;
  location.address = from.address;
  if (from.mapping >= 0) {
    location.mapping = Mapping(from.mapping);
  } else {
    location.mapping = Unmapped();
  }
  for (const profile::Line& line : from.lines) {
    location.lines.push_back({Function(line.function), line.line});
  }
  if (location.lines.empty() && limits_.name_every_location) {
    profile::Function function;
    function.name = function.system_name =
        profile_.Intern(Cut(FallbackName(from), limits_.max_string_bytes));
    location.lines.push_back({profile_.AddFunction(function), 0});
  }
  locations_[index] = static_cast<std::uint32_t>(profile_.locations.size());
  profile_.locations.push_back(std::move(location));
  return locations_[index];
}

// Pyroscope takes a profile with a location without mapping for one that it must symbolize.
std::int32_t PartialProfile::Unmapped() {
  if (!limits_.name_every_location) return -1;
  if (unmapped_ < 0) {
    profile::Mapping mapping;
    mapping.filename = profile_.Intern(kUnmapped);
    unmapped_ = static_cast<std::int32_t>(profile_.mappings.size());
    profile_.mappings.push_back(mapping);
  }
  return unmapped_;
}

std::uint32_t PartialProfile::Truncated() {
  if (truncated_ != kNone) return truncated_;
  profile::Function function;
  function.name = function.system_name = profile_.Intern(kTruncated);
  profile::Location location;
  location.mapping = Unmapped();
  location.lines.push_back({profile_.AddFunction(function), 0});
  truncated_ = static_cast<std::uint32_t>(profile_.locations.size());
  profile_.locations.push_back(std::move(location));
  return truncated_;
}

void PartialProfile::KeepLabels(std::vector<profile::Label>* labels) {
  std::size_t kept = 0;
  for (const profile::Label& label : *labels) {  // ids and name come first
    const profile::Label mine = {String(label.key, limits_.max_label_name_bytes),
                                 String(label.value, limits_.max_label_value_bytes)};
    const bool full = limits_.max_labels_per_sample != 0 && kept == limits_.max_labels_per_sample;
    const auto end = labels->begin() + static_cast<std::ptrdiff_t>(kept);
    const bool twice =
        std::any_of(labels->begin(), end, [&](const auto& other) { return other.key == mine.key; });
    if (full || twice) {
      ++repairs_->labels_dropped;
    } else {
      (*labels)[kept++] = mine;
    }
  }
  labels->resize(kept);
}

void PartialProfile::Add(profile::Sample&& sample, std::size_t frames, std::size_t cost) {
  bytes_ += cost;
  const bool shortened = frames < sample.locations.size();
  sample.locations.resize(frames);
  for (std::uint32_t& location : sample.locations) location = Location(location);
  if (shortened) {
    ++repairs_->stacks_shortened;
    sample.locations.push_back(Truncated());
  }
  KeepLabels(&sample.labels);
  profile_.samples.push_back(std::move(sample));
}

std::size_t PartialProfile::StringCost(StringId id) {
  if (strings_[id] != kNone || string_visits_[id] == visit_) return 0;
  string_visits_[id] = visit_;
  return kMessage + Limited(source_.strings()[id].size(), limits_.max_string_bytes);
}

std::size_t PartialProfile::MappingCost(std::int32_t index) {
  const auto at = static_cast<std::size_t>(index);
  if (mappings_[at] != kNone || mapping_visits_[at] == visit_) return 0;
  mapping_visits_[at] = visit_;
  const profile::Mapping& mapping = source_.mappings[at];
  return kMappingBytes + StringCost(mapping.filename) + StringCost(mapping.build_id);
}

std::size_t PartialProfile::LocationCost(std::uint32_t index) {
  if (locations_[index] != kNone || location_visits_[index] == visit_) return 0;
  location_visits_[index] = visit_;
  const profile::Location& location = source_.locations[index];
  std::size_t cost = kLocationBytes;
  if (location.mapping >= 0) cost += MappingCost(location.mapping);
  for (const profile::Line& line : location.lines) {
    cost += kLineBytes;
    if (functions_[line.function] != kNone || function_visits_[line.function] == visit_) continue;
    function_visits_[line.function] = visit_;
    const profile::Function& function = source_.functions[line.function];
    cost += kFunctionBytes + StringCost(function.name) + StringCost(function.system_name) +
            StringCost(function.filename);
  }
  if (location.lines.empty() && limits_.name_every_location) {
    const std::size_t path =
        location.mapping < 0
            ? 0
            : source_
                  .strings()[source_.mappings[static_cast<std::size_t>(location.mapping)].filename]
                  .size();
    cost += kLineBytes + kFunctionBytes + kMessage + path + kFallbackExtra;
  }
  return cost;
}

std::size_t PartialProfile::CostOf(const profile::Sample& sample, std::size_t frames) {
  ++visit_;
  std::size_t cost = kSampleBytes + 5 * (frames + 1);
  for (std::size_t i = 0; i < frames; ++i) cost += LocationCost(sample.locations[i]);
  for (const profile::Label& label : sample.labels) {
    cost += kLabelBytes + 2 * kMessage +
            Limited(source_.strings()[label.key].size(), limits_.max_label_name_bytes) +
            Limited(source_.strings()[label.value].size(), limits_.max_label_value_bytes);
  }
  return cost;
}

Profile PartialProfile::Take() {
  profile_.ResolveMappingFlags();
  // Every location has a name, so this holds for mappings without locations too.
  if (limits_.name_every_location) {
    for (profile::Mapping& mapping : profile_.mappings) mapping.has_functions = true;
  }
  return std::move(profile_);
}

}  // namespace pprof::encode
