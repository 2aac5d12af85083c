// Profile -> pprof bytes (github.com/google/pprof, proto/profile.proto), and gzip: what the
// profiler hands to files, callbacks and, later, to pulls and pushes.
//
// How the message is written: ids are index + 1; fields with their default value are left out;
// repeated numbers are packed; the same profile always gives the same bytes.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "src/pprof/base/large_vector.h"
#include "src/pprof/profile/profile.h"

namespace pprof::encode {

// The message profile.proto:Profile, not compressed. sample_type is [samples/count,
// cpu/nanoseconds], default cpu; the second value is count * period, held at the largest int64.
// Labels with an empty key or value are left out: pprof has no way to say them. Throws
// std::bad_alloc only. Any thread, if nobody changes `profile` meanwhile. Not async-signal-safe.
base::LargeString EncodePprof(const profile::Profile& profile);

// Compresses `bytes` into one gzip member (RFC 1952) and hands it to `write` in order, in pieces of
// at most 64 KiB that live for the call only. False: `write` returned false (it is not called
// again), or zlib had no memory. Throws only what `write` throws. Any thread. Not
// async-signal-safe.
bool WriteGzip(std::string_view bytes, const std::function<bool(std::string_view)>& write);

}  // namespace pprof::encode
