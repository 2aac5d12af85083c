#include "src/pprof/sampler/own_threads.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <mutex>
#include <new>

#include "src/pprof/sampler/timer.h"

namespace pprof::sampler {
namespace {

constexpr int kMaxOwnThreads = 64;

// Constant-initialised, never destroyed: threads may end in static destruction.
struct OwnThreads {
  std::mutex mutex;
  std::atomic<std::int32_t> tids[kMaxOwnThreads];  // 0: free
  std::int64_t ended_ns = 0;
};
OwnThreads g_own;

}  // namespace

bool AddOwnThread(std::int32_t tid) noexcept {
  const std::lock_guard<std::mutex> lock(g_own.mutex);
  for (auto& slot : g_own.tids) {
    if (slot.load(std::memory_order_relaxed) != 0) continue;
    slot.store(tid, std::memory_order_release);
    return true;
  }
  return false;
}

void RemoveOwnThread(std::int32_t tid) noexcept {
  const std::lock_guard<std::mutex> lock(g_own.mutex);
  for (auto& slot : g_own.tids) {
    if (slot.load(std::memory_order_relaxed) != tid) continue;
    g_own.ended_ns += std::max<std::int64_t>(ThreadCpuNs(tid), 0);
    slot.store(0, std::memory_order_release);
    return;
  }
}

bool IsOwnThread(std::int32_t tid) noexcept {
  return std::any_of(std::begin(g_own.tids), std::end(g_own.tids),
                     [&](const auto& slot) { return slot.load(std::memory_order_acquire) == tid; });
}

std::uint64_t CountOwnThreads() noexcept {
  return static_cast<std::uint64_t>(
      std::count_if(std::begin(g_own.tids), std::end(g_own.tids),
                    [](const auto& slot) { return slot.load(std::memory_order_relaxed) != 0; }));
}

std::int64_t OwnThreadsCpuNs() noexcept {
  const std::lock_guard<std::mutex> lock(g_own.mutex);
  std::int64_t sum = g_own.ended_ns;
  for (const auto& slot : g_own.tids) {
    const std::int32_t tid = slot.load(std::memory_order_relaxed);
    if (tid != 0) sum += std::max<std::int64_t>(ThreadCpuNs(tid), 0);
  }
  return sum;
}

void ResetOwnThreadsInChild() noexcept {
  new (&g_own.mutex) std::mutex();  // its holder may not exist here
  for (auto& slot : g_own.tids) slot.store(0, std::memory_order_relaxed);
  g_own.ended_ns = 0;
}

}  // namespace pprof::sampler
