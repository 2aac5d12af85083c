#include "src/pprof/view/sample_tables.h"

#include <algorithm>
#include <charconv>

namespace pprof::view {

SampleTables::SampleTables() {
  strings_.Intern("");
  label_sets_.Put({});
}

std::int32_t SampleTables::Id(std::string_view hex) {
  if (hex.empty()) return -1;
  return static_cast<std::int32_t>(ids_.Put(std::string(hex)));
}

std::string NameOfAddress(const profile::Profile& profile, const profile::Location& location) {
  char digits[20];
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), location.address, 16);
  static_cast<void>(error);
  std::string address = "0x" + std::string(digits, end);
  if (location.mapping < 0) return address;
  const profile::Mapping& mapping = profile.mappings[static_cast<std::size_t>(location.mapping)];
  const std::string_view file = profile.strings()[mapping.filename];
  return "[" + std::string(file.substr(file.rfind('/') + 1)) + "] " + address;
}

std::uint32_t SampleTables::Location(const profile::Profile& profile,
                                     const profile::Location& location) {
  Numbers row;
  for (const profile::Line& line : location.lines) {
    const profile::Function& function = profile.functions[line.function];
    const std::uint32_t number = functions_.Put(
        {String(profile.strings()[function.name]), String(profile.strings()[function.filename])});
    row.push_back(frames_.Put({number, std::max<std::int64_t>(0, line.line)}));
  }
  if (row.empty()) {
    row.push_back(frames_.Put({functions_.Put({String(NameOfAddress(profile, location)), 0}), 0}));
  }
  return locations_.Put(row);
}

SampleKey SampleTables::Describe(const profile::Profile& profile, const profile::Sample& sample) {
  SampleKey key{0, -1, -1, 0, 0};
  std::vector<Pair> others;
  for (const profile::Label& label : sample.labels) {
    const std::string_view name = profile.strings()[label.key];
    const std::string_view value = profile.strings()[label.value];
    if (name == "span_id") {
      key.span = Id(value);
    } else if (name == "trace_id") {
      key.trace = Id(value);
    } else if (name == "span_name") {
      key.name = String(value);
    } else {
      others.emplace_back(String(name), String(value));
    }
  }
  std::sort(others.begin(), others.end());
  key.labels = label_sets_.Put(others);
  return key;
}

void SampleTables::Add(const profile::Profile& profile) {
  Numbers ours;  // by the profile's own numbers
  ours.reserve(profile.locations.size());
  for (const profile::Location& location : profile.locations) {
    ours.push_back(Location(profile, location));
  }
  Numbers stack;
  for (const profile::Sample& sample : profile.samples) {
    stack.clear();
    for (const std::uint32_t location : sample.locations) stack.push_back(ours[location]);
    SampleKey key = Describe(profile, sample);
    key.stack = stacks_.Put(stack);
    SampleValue& value = samples_[key];
    value.count += sample.count;
    value.cpu_ns += sample.count * profile.period_ns;
  }
}

}  // namespace pprof::view
