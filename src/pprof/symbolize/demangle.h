// Readable names of C++ symbols, bounded: a symbol name is input like any other. Used by
// Symbolizer.
#pragma once

#include <cstddef>
#include <string>

namespace pprof::symbolize {

constexpr std::size_t kMaxMangled = 8u << 10;
constexpr std::size_t kMaxDemangled = 4u << 10;

// The demangled form of `name` (itself if it is not mangled, longer than kMaxMangled, or broken),
// cut to kMaxDemangled bytes. Suffixes that follow an '@' (versions, "@plt") stay. Not
// async-signal-safe.
std::string Demangle(const std::string& name);

}  // namespace pprof::symbolize
