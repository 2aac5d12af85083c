// The numbers behind ReadStats(): one set for the process, consistent at every instant.
#pragma once

#include <pyroscope/stats.h>

#include <cstddef>
#include <functional>

namespace pyroscope::internal {

// Runs `change` alone. `change` must not block. Any thread.
void Count(const std::function<void(Stats*)>& change) noexcept;

// In a fork child: from zero, with a lock of its own.
void ResetCountersInChild() noexcept;

}  // namespace pyroscope::internal
