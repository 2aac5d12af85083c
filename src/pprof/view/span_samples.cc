#include "src/pprof/view/span_samples.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "src/pprof/view/sample_tables.h"

namespace pprof::view {
namespace {

// Copies what it is asked for from one profile into another.
class Copier {
 public:
  Copier(const profile::Profile& from, profile::Profile& to)
      : from_(from),
        to_(to),
        locations_(from.locations.size(), -1),
        mappings_(from.mappings.size(), -1) {}

  void Copy(const profile::Sample& sample) {
    profile::Sample copy;
    copy.count = sample.count;
    for (const std::uint32_t location : sample.locations)
      copy.locations.push_back(Location(location));
    for (const profile::Label& label : sample.labels) {
      copy.labels.push_back({Text(label.key), Text(label.value)});
    }
    to_.samples.push_back(std::move(copy));
  }

 private:
  profile::StringId Text(profile::StringId id) { return to_.InternValid(from_.strings()[id]); }

  std::int32_t Mapping(std::int32_t number) {
    if (number < 0) return -1;
    std::int32_t& known = mappings_[static_cast<std::size_t>(number)];
    if (known >= 0) return known;
    profile::Mapping copy = from_.mappings[static_cast<std::size_t>(number)];
    copy.filename = Text(copy.filename);
    copy.build_id = Text(copy.build_id);
    const auto same =
        std::find_if(to_.mappings.begin(), to_.mappings.end(), [&](const auto& other) {
          return other.memory_start == copy.memory_start && other.filename == copy.filename &&
                 other.build_id == copy.build_id;
        });
    known = static_cast<std::int32_t>(same - to_.mappings.begin());
    if (same == to_.mappings.end()) to_.mappings.push_back(copy);
    return known;
  }

  std::uint32_t Location(std::uint32_t number) {
    std::int64_t& known = locations_[number];
    if (known >= 0) return static_cast<std::uint32_t>(known);
    profile::Location copy = from_.locations[number];
    copy.mapping = Mapping(copy.mapping);
    for (profile::Line& line : copy.lines) {
      profile::Function function = from_.functions[line.function];
      function.name = Text(function.name);
      function.system_name = Text(function.system_name);
      function.filename = Text(function.filename);
      line.function = to_.AddFunction(function);
    }
    known = static_cast<std::int64_t>(Place(std::move(copy)));
    return static_cast<std::uint32_t>(known);
  }

  // No two locations are equal.
  std::size_t Place(profile::Location location) {
    const auto same =
        std::find_if(to_.locations.begin(), to_.locations.end(), [&](const auto& other) {
          return other.address == location.address && other.mapping == location.mapping &&
                 std::equal(other.lines.begin(), other.lines.end(), location.lines.begin(),
                            location.lines.end(),
                            [](const profile::Line& a, const profile::Line& b) {
                              return a.function == b.function && a.line == b.line;
                            });
        });
    const auto place = static_cast<std::size_t>(same - to_.locations.begin());
    if (same == to_.locations.end()) to_.locations.push_back(std::move(location));
    return place;
  }

  const profile::Profile& from_;
  profile::Profile& to_;
  std::vector<std::int64_t> locations_;
  std::vector<std::int32_t> mappings_;
};

bool HasSpan(const profile::Profile& profile, const profile::Sample& sample, std::string_view id) {
  return std::any_of(sample.labels.begin(), sample.labels.end(), [&](const profile::Label& label) {
    return profile.strings()[label.value] == id && profile.strings()[label.key] == "span_id";
  });
}

// No two samples have the same stack and labels.
void MergeEqual(profile::Profile& profile) {
  using Labels = std::vector<std::pair<profile::StringId, profile::StringId>>;
  std::map<std::pair<Numbers, Labels>, std::size_t> places;
  base::LargeVector<profile::Sample> merged;
  for (profile::Sample& sample : profile.samples) {
    Labels labels;
    for (const profile::Label& label : sample.labels) labels.emplace_back(label.key, label.value);
    std::sort(labels.begin(), labels.end());
    const auto [place, fresh] =
        places.emplace(std::make_pair(sample.locations, labels), merged.size());
    if (fresh) {
      merged.push_back(std::move(sample));
    } else {
      merged[place->second].count += sample.count;
    }
  }
  profile.samples = std::move(merged);
}

// Names, leaf first.
std::vector<std::string> NamesOf(const profile::Profile& profile, const profile::Sample& sample) {
  std::vector<std::string> names;
  for (const std::uint32_t number : sample.locations) {
    const profile::Location& location = profile.locations[number];
    if (location.lines.empty()) names.push_back(NameOfAddress(profile, location));
    for (const profile::Line& line : location.lines) {
      names.emplace_back(profile.strings()[profile.functions[line.function].name]);
    }
  }
  for (std::string& name : names) {
    std::replace_if(
        name.begin(), name.end(),
        [](char c) { return c == ';' || c == '\x7f' || static_cast<unsigned char>(c) < 0x20; },
        ' ');
  }
  return names;
}

std::map<std::string, std::int64_t> Fold(const profile::Profile& profile) {
  std::map<std::string, std::int64_t> folded;
  for (const profile::Sample& sample : profile.samples) {
    const std::vector<std::string> names = NamesOf(profile, sample);
    std::string line;
    for (auto name = names.rbegin(); name != names.rend(); ++name) {
      if (!line.empty()) line += ';';
      line += *name;
    }
    folded[line] += sample.count;
  }
  return folded;
}

struct FunctionCost {
  std::int64_t self = 0;
  std::int64_t total = 0;
};

std::string Row(double self_ms, double total_ms, const std::string& name) {
  char columns[64];
  std::snprintf(columns, sizeof(columns), "%10.1f  %10.1f  ", self_ms, total_ms);
  return columns + name + "\n";
}

}  // namespace

profile::Profile SamplesOfSpan(const Windows& windows, std::string_view span_id) {
  profile::Profile found;
  bool first = true;
  for (const auto& window : windows) {
    if (first) found.time_ns = window->time_ns;
    first = false;
    found.period_ns = window->period_ns;
    found.duration_ns = window->time_ns + window->duration_ns - found.time_ns;
    Copier copier(*window, found);
    for (const profile::Sample& sample : window->samples) {
      if (HasSpan(*window, sample, span_id)) copier.Copy(sample);
    }
  }
  MergeEqual(found);
  found.ResolveMappingFlags();
  return found;
}

std::string FoldedStacks(const profile::Profile& profile) {
  std::string text;
  for (const auto& [line, count] : Fold(profile)) text += line + " " + std::to_string(count) + "\n";
  return text;
}

std::string TextReport(const profile::Profile& profile, std::string_view title) {
  std::map<std::string, FunctionCost> costs;
  std::int64_t samples = 0;
  for (const profile::Sample& sample : profile.samples) {
    const std::vector<std::string> names = NamesOf(profile, sample);
    samples += sample.count;
    if (!names.empty()) costs[names.front()].self += sample.count;
    for (const std::string& name : std::set<std::string>(names.begin(), names.end())) {
      costs[name].total += sample.count;
    }
  }
  std::vector<std::pair<std::string, FunctionCost>> rows(costs.begin(), costs.end());
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return std::make_pair(-a.second.self, -a.second.total) <
           std::make_pair(-b.second.self, -b.second.total);
  });
  const double period_ms = static_cast<double>(profile.period_ns) * 1e-6;
  std::string text(title);
  text += "\n" + std::to_string(samples) + " samples, " +
          std::to_string(static_cast<std::int64_t>(static_cast<double>(samples) * period_ms)) +
          " ms CPU\n\n   self ms    total ms  function\n";
  for (const auto& [name, cost] : rows) {
    text += Row(static_cast<double>(cost.self) * period_ms,
                static_cast<double>(cost.total) * period_ms, name);
  }
  return text + "\nstacks, root first, with samples:\n" + FoldedStacks(profile);
}

}  // namespace pprof::view
