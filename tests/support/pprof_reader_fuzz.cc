// The reader on arbitrary bytes: it answers with a profile or with a reason, and what it hands out
// keeps its promises.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tests/support/pprof_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::string error;
  const auto profile = pprof_reader::Read(bytes, &error);
  if (profile.has_value() != error.empty()) std::abort();
  if (!profile.has_value()) return 0;
  for (const pprof_reader::Sample& sample : profile->samples) {
    if (!sample.frames.empty() && sample.frames.back().inlined) std::abort();
    for (const auto& [key, value] : sample.labels) {
      if (sample.Label(key) != value) std::abort();
    }
  }
  return 0;
}
