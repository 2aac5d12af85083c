// The bytes of a push.v1 PushRequest (api/push/v1/push.proto).
#pragma once

#include <string>
#include <string_view>

#include "src/pyroscope/series_labels.h"

namespace pyroscope::internal {

// One series with one profile, so that a request is accepted or refused as a whole. `profile`:
// gzip-compressed pprof. `id`: a UUID; servers write it to their log.
std::string EncodePushRequest(const SeriesLabels& labels, std::string_view profile,
                              std::string_view id);

// A random UUID (version 4) out of 16 random bytes.
std::string FormatUuid(const unsigned char (&random)[16]);

}  // namespace pyroscope::internal
