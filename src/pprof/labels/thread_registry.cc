#include "src/pprof/labels/thread_registry.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <new>

#include "src/pprof/labels/thread.h"

namespace pprof::labels {

using handler::g_shared;
using handler::kMaxThreads;
using handler::ThreadRecord;

ThreadRegistry& ThreadRegistry::Get() noexcept {
  alignas(ThreadRegistry) static char storage[sizeof(ThreadRegistry)];
  static ThreadRegistry* const registry = new (storage) ThreadRegistry();  // never destroyed
  return *registry;
}

bool ThreadRegistry::MapRegion() noexcept {
  if (g_shared.records.load(std::memory_order_relaxed) != nullptr) return true;
  void* region = mmap(nullptr, sizeof(ThreadRecord) * kMaxThreads, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED) return false;
  g_shared.records.store(static_cast<ThreadRecord*>(region), std::memory_order_release);
  return true;
}

ThreadRecord* ThreadRegistry::FindOrAdd(std::int32_t tid) noexcept {
  try {
    const auto found = by_tid_.find(tid);
    if (found != by_tid_.end()) return found->second;
    if (!MapRegion()) return nullptr;
    const std::uint32_t fresh = high_water_.load(std::memory_order_relaxed);
    if (free_ == 0 && fresh >= kMaxThreads) {
      g_label_counters.threads_over_limit.fetch_add(1, std::memory_order_relaxed);
      return nullptr;
    }
    ThreadRecord* const records = g_shared.records.load(std::memory_order_relaxed);
    ThreadRecord* const record = free_ != 0 ? &records[free_ - 1] : &records[fresh];
    by_tid_.emplace(tid, record);
    if (free_ != 0) {
      free_ = record->next_free;
    } else {
      high_water_.store(fresh + 1, std::memory_order_release);
    }
    record->tid = tid;
    record->timer = -1;
    record->registered = false;
    record->seen = 0;
    if (record->last_token == 0) record->last_token = std::uint64_t{IndexOf(*record) + 1} << 48;
    return record;
  } catch (...) {  // no memory for the map: the thread goes unsampled
    return nullptr;
  }
}

void ThreadRegistry::Release(ThreadRecord& record) noexcept {
  // A ring stays with the record: what it holds is complete in itself, and the collector takes it
  // back when idle.
  record.cookie.store(0, std::memory_order_relaxed);
  record.trace_context.store(nullptr, std::memory_order_relaxed);
  record.labels.store(nullptr, std::memory_order_relaxed);
  record.stack_low.store(0, std::memory_order_relaxed);
  record.stack_high.store(0, std::memory_order_relaxed);
  by_tid_.erase(record.tid);
  record.tid = 0;
  record.registered = false;
  record.next_free = free_;
  free_ = IndexOf(record) + 1;
}

void ThreadRegistry::ResetInChild(ThreadRecord* own) noexcept {
  observer_ = nullptr;
  by_tid_.clear();
  free_ = 0;
  ThreadRecord* const records = g_shared.records.load(std::memory_order_relaxed);
  const std::uint32_t used = high_water_.load(std::memory_order_relaxed);
  for (std::uint32_t i = 0; i < used; ++i) {
    ThreadRecord& record = records[i];
    record.cookie.store(0, std::memory_order_relaxed);
    record.ring.store(nullptr, std::memory_order_relaxed);
    record.busy.store(0, std::memory_order_relaxed);
    record.timer = -1;
    if (&record == own) continue;
    record.trace_context.store(nullptr, std::memory_order_relaxed);
    record.labels.store(nullptr, std::memory_order_relaxed);
    record.tid = 0;
    record.next_free = free_;
    free_ = i + 1;
  }
  if (own == nullptr) return;
  own->tid = static_cast<std::int32_t>(syscall(SYS_gettid));
  try {
    by_tid_.emplace(own->tid, own);
  } catch (...) {  // the forking thread goes unsampled in the child
  }
}

}  // namespace pprof::labels
