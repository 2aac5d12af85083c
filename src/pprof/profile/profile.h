// A CPU profile in memory, shaped like pprof (github.com/google/pprof, proto/profile.proto): the
// only type that the stages behind the sampler share. The profiler fills it, encode/ writes it.
//
// Invariants, kept by whoever fills it: indices name existing entries; no two samples have the same
// stack and labels; no two locations are equal. Plain data without locks: one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/pprof/base/large_vector.h"
#include "src/pprof/profile/string_pool.h"

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
  // set. Profile::ResolveMappingFlags() fills them in.
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
  std::vector<Label> labels;  // unique keys; pprof cannot say an empty value: it reads as no label
};

// Movable; a profile that was moved from may only be destroyed or assigned to. Members throw
// std::bad_alloc only. Not async-signal-safe.
class Profile {
 public:
  // Strings that every CPU profile needs; their ids are the same in all profiles.
  static constexpr StringId kSamples = 1;      // "samples"
  static constexpr StringId kCount = 2;        // "count"
  static constexpr StringId kCpu = 3;          // "cpu"
  static constexpr StringId kNanoseconds = 4;  // "nanoseconds"

  Profile();
  Profile(Profile&&) = default;
  Profile& operator=(Profile&&) = default;
  Profile(const Profile&) = delete;  // megabytes: nobody should copy one unawares
  Profile& operator=(const Profile&) = delete;

  // Interns; the same text gives the same id. Text is made valid UTF-8 first (each broken byte
  // becomes U+FFFD), because receivers reject a profile whose string table is not.
  StringId Intern(std::string_view text);
  // The same for text that is valid UTF-8: of another profile, say.
  StringId InternValid(std::string_view text) { return strings_.Intern(text); }
  const base::LargeVector<std::string_view>& strings() const { return strings_.strings(); }
  // One function for equal fields. Functions come into `functions` only through here.
  std::uint32_t AddFunction(const Function& function);
  // Sets has_* of every mapping to what is true of all its locations: has_functions where each has
  // a named function, has_filenames and has_line_numbers likewise for each of its lines;
  // has_inline_frames where one has inlined functions. A mapping without locations promises
  // nothing. To be called when the locations are complete.
  void ResolveMappingFlags();

  std::vector<Mapping> mappings;  // [0]: the main binary
  base::LargeVector<Function> functions;
  base::LargeVector<Location> locations;
  base::LargeVector<Sample> samples;
  std::int64_t period_ns = 0;    // cpu/nanoseconds between samples
  std::int64_t time_ns = 0;      // wall clock at start, since the epoch
  std::int64_t duration_ns = 0;  // by the monotonic clock
  std::vector<StringId> comments;

 private:
  struct FunctionHash {
    std::size_t operator()(const Function& function) const noexcept;
  };
  struct FunctionEqual {
    bool operator()(const Function& a, const Function& b) const noexcept;
  };

  StringPool strings_;
  std::unordered_map<Function, std::uint32_t, FunctionHash, FunctionEqual> function_ids_;
};

}  // namespace pprof::profile
