// The clock of windows, retries and deadlines: steps of the wall clock do not move it.
#pragma once

#include <chrono>

namespace pyroscope::internal {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

}  // namespace pyroscope::internal
