// A CPU profile in memory, shaped like pprof (github.com/google/pprof, proto/profile.proto): the
// only type that the stages behind the sampler share.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace pprof::profile {

// Index into Profile::strings(); 0 is the empty string.
using StringId = std::uint32_t;

struct ValueType {
  StringId type = 0;
  StringId unit = 0;
};

struct Mapping {
  std::uint64_t memory_start = 0;
  std::uint64_t memory_limit = 0;
  std::uint64_t file_offset = 0;
  StringId filename = 0;
  StringId build_id = 0;  // lower-case hex
  // Promises for every location of the mapping: consumers do not symbolize where has_functions is
  // set.
  bool has_functions = false;
  bool has_filenames = false;
  bool has_line_numbers = false;
  bool has_inline_frames = false;
};

struct Function {
  StringId name = 0;
  StringId system_name = 0;
  StringId filename = 0;
  std::int64_t start_line = 0;
};

struct Line {
  std::uint32_t function = 0;  // index into Profile::functions
  std::int64_t line = 0;
};

struct Location {
  std::int32_t mapping = -1;  // index into Profile::mappings; -1: none
  std::uint64_t address = 0;
  std::vector<Line> lines;  // innermost inlined function first
};

struct Label {
  StringId key = 0;
  StringId value = 0;
};

struct Sample {
  std::vector<std::uint32_t> locations;  // leaf first; indices into Profile::locations
  std::int64_t count = 0;     // samples/count; the second value is count * period (cpu/nanoseconds)
  std::vector<Label> labels;  // unique keys
};

class Profile {
 public:
  Profile();

  // Interns; the same text gives the same id. Text is made valid UTF-8 first (each broken byte
  // becomes U+FFFD), because receivers reject a profile whose string table is not.
  StringId Intern(std::string_view text);
  const std::deque<std::string>& strings() const { return strings_; }
  // One function for equal fields.
  std::uint32_t AddFunction(const Function& function);

  std::vector<Mapping> mappings;  // [0]: the main binary
  std::vector<Function> functions;
  std::vector<Location> locations;
  std::vector<Sample> samples;
  std::int64_t period_ns = 0;    // cpu/nanoseconds between samples
  std::int64_t time_ns = 0;      // wall clock at start, since the epoch
  std::int64_t duration_ns = 0;  // by the monotonic clock
  std::vector<StringId> comments;

 private:
  struct FunctionHash {
    std::size_t operator()(const std::pair<std::uint64_t, std::uint64_t>& key) const noexcept;
  };
  std::deque<std::string> strings_;  // stable addresses for the views in ids_
  std::unordered_map<std::string_view, StringId> ids_;
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> function_ids_;
};

}  // namespace pprof::profile
