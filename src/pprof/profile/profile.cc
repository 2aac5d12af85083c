#include "src/pprof/profile/profile.h"

#include "src/pprof/profile/utf8.h"

namespace pprof::profile {
namespace {

// What is known of every location of one mapping, gathered by ResolveMappingFlags().
struct Known {
  bool any = false;
  bool functions = true;
  bool filenames = true;
  bool lines = true;
  bool inlined = false;
};

void Gather(const Location& location, const base::LargeVector<Function>& functions, Known* known) {
  known->any = true;
  if (location.lines.empty()) known->functions = known->filenames = known->lines = false;
  if (location.lines.size() > 1) known->inlined = true;
  for (const Line& line : location.lines) {
    const Function& function = functions[line.function];
    if (function.name == 0) known->functions = false;
    if (function.filename == 0) known->filenames = false;
    if (line.line == 0) known->lines = false;
  }
}

}  // namespace

Profile::Profile() {
  for (const char* text : {"", "samples", "count", "cpu", "nanoseconds"}) InternValid(text);
}

StringId Profile::Intern(std::string_view text) {
  if (ValidUtf8Prefix(text) == text.size()) return InternValid(text);
  return InternValid(RepairUtf8(text));
}

std::uint32_t Profile::AddFunction(const Function& function) {
  const auto [entry, added] =
      function_ids_.try_emplace(function, static_cast<std::uint32_t>(functions.size()));
  if (added) {
    try {
      functions.push_back(function);
    } catch (...) {
      function_ids_.erase(entry);
      throw;
    }
  }
  return entry->second;
}

void Profile::ResolveMappingFlags() {
  std::vector<Known> known(mappings.size());
  for (const Location& location : locations) {
    if (location.mapping < 0) continue;
    Gather(location, functions, &known[static_cast<std::size_t>(location.mapping)]);
  }
  for (std::size_t i = 0; i < mappings.size(); ++i) {
    const Known& all = known[i];
    mappings[i].has_functions = all.any && all.functions;
    mappings[i].has_filenames = all.any && all.filenames;
    mappings[i].has_line_numbers = all.any && all.lines;
    mappings[i].has_inline_frames = all.inlined;
  }
}

// Fibonacci hashing (Knuth, The Art of Computer Programming 6.4) of one field after the other.
std::size_t Profile::FunctionHash::operator()(const Function& function) const noexcept {
  constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15u;
  std::uint64_t hash = 0;
  const auto mix = [&hash](std::uint64_t field) {
    hash = (hash ^ field) * kGolden;
    hash ^= hash >> 32;
  };
  mix(std::uint64_t{function.name} << 32 | function.system_name);
  mix(function.filename);
  mix(static_cast<std::uint64_t>(function.start_line));
  return static_cast<std::size_t>(hash);
}

bool Profile::FunctionEqual::operator()(const Function& a, const Function& b) const noexcept {
  return a.name == b.name && a.system_name == b.system_name && a.filename == b.filename &&
         a.start_line == b.start_line;
}

}  // namespace pprof::profile
