#include "src/pyroscope/counters.h"

#include <mutex>
#include <new>

namespace pyroscope {
namespace internal {
namespace {

// Constant-initialised and never destroyed: usable in static construction and destruction.
struct Counters {
  std::mutex mutex;
  Stats stats;
};
Counters g_counters;

}  // namespace

void Count(const std::function<void(Stats*)>& change) noexcept {
  const std::lock_guard<std::mutex> lock(g_counters.mutex);
  change(&g_counters.stats);
}

void ResetCountersInChild() noexcept { new (&g_counters) Counters(); }

}  // namespace internal

Stats ReadStats() noexcept {
  Stats stats;
  internal::Count([&](Stats* now) { stats = *now; });
  return stats;
}

}  // namespace pyroscope
