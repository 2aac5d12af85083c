// Profile -> as many compressed pprof messages as a receiver's limits ask for.
#pragma once

#include <pprof/profile_source.h>

#include "src/pprof/profile/profile.h"

namespace pprof::encode {

// One message if the limits allow. Sizes are judged by an upper bound, so that a message may be
// smaller than needed but never larger than allowed. Throws std::bad_alloc only. Any thread. Not
// async-signal-safe.
EncodedWindow EncodeLimited(profile::Profile profile, const ProfileLimits& limits);

}  // namespace pprof::encode
