// Profile -> pprof bytes (github.com/google/pprof, proto/profile.proto), and gzip.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "src/pprof/profile/profile.h"

namespace pprof::encode {

// The message profile.proto:Profile, not compressed. sample_type is [samples/count,
// cpu/nanoseconds], default cpu. Throws std::bad_alloc only. Not async-signal-safe.
std::string EncodePprof(const profile::Profile& profile);

// Compresses `bytes` into one gzip member and hands it to `write` in pieces. False: `write` said
// so, or zlib failed.
bool WriteGzip(std::string_view bytes, const std::function<bool(std::string_view)>& write);

}  // namespace pprof::encode
