// Reads a pprof file (github.com/google/pprof, proto/profile.proto; gzip or not) into plain
// structs: for tests that ask which functions ran under which label, and for the demo, which reads
// its own profile back. Shares no code with the encoder, so that it can find the encoder wrong.
// Input may be anything: what is not a CPU profile with two values a sample is refused with a
// reason.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pprof_reader {

// All text lives as long as the Profile that it came from, or a copy of that.
struct Frame {
  std::string_view function;  // empty: not known
  std::string_view file;
  std::int64_t line = 0;
  std::string_view module;  // file name of the mapping
  std::uint64_t address = 0;
  bool inlined = false;  // into the frame after it
};

struct Sample {
  std::int64_t count = 0;
  std::int64_t cpu_ns = 0;
  std::map<std::string_view, std::string_view> labels;  // string labels
  std::vector<Frame> frames;                            // leaf first

  std::string_view Label(std::string_view key) const;    // empty: none
  bool HasFunction(std::string_view name_prefix) const;  // some frame's function starts with it
};

// What a module promises of all its addresses.
struct Mapping {
  std::string_view file;
  bool has_functions = false;
  bool has_filenames = false;
  bool has_line_numbers = false;
  bool has_inline_frames = false;
};

struct Profile {
  std::vector<Sample> samples;
  std::vector<Mapping> mappings;
  std::int64_t period_ns = 0;
  std::int64_t time_ns = 0;
  std::int64_t duration_ns = 0;
  std::vector<std::string_view> comments;
  std::shared_ptr<const std::string> bytes;  // what the texts point into
};

// Bytes of all members of a gzip file; what is not gzip is returned as it is. Refuses more than
// 128 MiB. Not async-signal-safe, as all of this header; any thread.
std::optional<std::string> Inflate(std::string_view bytes, std::string* error);

// nullopt: `*error` says why.
std::optional<Profile> Read(std::string_view bytes, std::string* error);
std::optional<Profile> ReadFile(const std::string& path, std::string* error);

}  // namespace pprof_reader
