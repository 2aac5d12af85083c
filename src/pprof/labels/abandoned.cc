#include <pprof/trace_context.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "src/pprof/labels/thread.h"
#include "src/pprof/labels/thread_registry.h"

namespace pprof::labels {

std::atomic<std::uint32_t> g_abandoned{0};

namespace {

// More than this many at once is a host that makes the same mistake in a loop: the oldest stay on
// their threads.
constexpr std::size_t kMaxAbandoned = 10000;

struct Abandoned {
  std::mutex mutex;
  std::vector<std::uint64_t> tokens;
};

Abandoned& State() {
  static auto* const state = new Abandoned();  // leaked: scopes may end in static destruction
  return *state;
}

// Tokens carry the index of their thread's record: see ThreadRegistry::FindOrAdd.
bool BelongsTo(const ThreadState& thread, std::uint64_t token) {
  return token >> 48 == ThreadRegistry::IndexOf(*thread.record) + 1;
}

}  // namespace

void Abandon(std::uint64_t token) noexcept {
  try {
    Abandoned& state = State();
    const std::lock_guard<std::mutex> lock(state.mutex);
    if (state.tokens.size() < kMaxAbandoned) state.tokens.push_back(token);
    g_abandoned.fetch_add(1, std::memory_order_relaxed);
  } catch (...) {  // no memory: the labels stay until an enclosing scope of their thread ends
  }
}

void DropAbandoned(ThreadState& thread) noexcept {
  if (thread.abandoned_known == g_abandoned.load(std::memory_order_relaxed)) return;
  std::vector<std::uint64_t> own;
  try {
    Abandoned& state = State();
    const std::lock_guard<std::mutex> lock(state.mutex);
    thread.abandoned_known = g_abandoned.load(std::memory_order_relaxed);
    SeeAbandoned(thread);
    own.reserve(state.tokens.size());
    const auto rest =
        std::remove_if(state.tokens.begin(), state.tokens.end(), [&](std::uint64_t token) {
          if (BelongsTo(thread, token)) own.push_back(token);
          return BelongsTo(thread, token);
        });
    state.tokens.erase(rest, state.tokens.end());
  } catch (...) {
    return;
  }
  for (const std::uint64_t token : own) {
    if (!PopLabels(thread, token)) PopTraceContext(token);
  }
}

}  // namespace pprof::labels
