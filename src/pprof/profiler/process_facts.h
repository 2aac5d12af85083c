// What the spans document tells of the process.
#pragma once

#include <cstdint>
#include <string>

namespace pprof::profiler {

// The executable's path; without arguments, which may hold secrets. May throw std::bad_alloc, as
// all of this header.
std::string ProgramPath();
// OTEL_SERVICE_NAME, else the program's file name.
std::string ServiceName();
// Since the process began; negative: not known.
std::int64_t ProcessAgeNs();

}  // namespace pprof::profiler
