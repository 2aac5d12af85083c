#include "src/pprof/profiler/shared_symbolizer.h"

#include <pthread.h>

#include <atomic>
#include <mutex>
#include <new>

#include "src/pprof/profiler/assemble.h"

namespace pprof::profiler {
namespace {

struct Shared {
  std::mutex mutex;
  symbolize::Symbolizer symbolizer;
  Shared* left_behind_before = nullptr;  // keeps the parents' objects reachable in a fork child
};

// Leaked: a profile may be stopped in static destruction. A fork child gets a new one, because
// another thread of the parent may have been inside the old one.
std::atomic<Shared*> g_shared{nullptr};
std::mutex g_creation;
Shared* g_left_behind = nullptr;

void ResetAfterForkInChild() noexcept {
  new (&g_creation) std::mutex();  // its holder may not exist here
  Shared* const old = g_shared.exchange(nullptr, std::memory_order_acq_rel);
  if (old == nullptr) return;
  old->left_behind_before = g_left_behind;
  g_left_behind = old;
}

Shared& Get() {
  static std::once_flag once;
  std::call_once(once, [] { pthread_atfork(nullptr, nullptr, ResetAfterForkInChild); });
  Shared* shared = g_shared.load(std::memory_order_acquire);
  if (shared != nullptr) return *shared;
  const std::lock_guard<std::mutex> lock(g_creation);
  shared = g_shared.load(std::memory_order_acquire);
  if (shared == nullptr) {
    shared = new Shared();
    g_shared.store(shared, std::memory_order_release);
  }
  return *shared;
}

}  // namespace

profile::Profile AssembleShared(const sampler::Window& window) {
  Shared& shared = Get();
  const std::lock_guard<std::mutex> lock(shared.mutex);
  return Assemble(window, shared.symbolizer);
}

symbolize::SymbolizerStats ReadSymbolizerStats() noexcept {
  Shared* shared = g_shared.load(std::memory_order_acquire);
  if (shared == nullptr) return {};
  const std::lock_guard<std::mutex> lock(shared->mutex);
  return shared->symbolizer.stats();
}

}  // namespace pprof::profiler
