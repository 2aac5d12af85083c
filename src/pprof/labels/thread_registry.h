// Which record belongs to which thread. One lock, held for microseconds, never while something is
// read, symbolized or drained: a thread that opens its first scope waits for nothing else.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "src/pprof/handler/thread_record.h"
#include "src/pprof/labels/first_scope.h"

namespace pprof::labels {

// What the sampler wants to know of threads. Called with the registry's lock held, on the thread
// itself.
class ThreadObserver {
 public:
  // The calling thread registered; its record may have been found by a scan before.
  virtual void OnThreadRegistered(handler::ThreadRecord& record) noexcept = 0;
  // The calling thread's first scope since it registered under this observer is over.
  virtual void OnFirstScope(handler::ThreadRecord& record, const ScopeCpu& measured) noexcept = 0;
  // The calling thread ends; its record is freed afterwards.
  virtual void OnThreadExit(handler::ThreadRecord& record) noexcept = 0;

 protected:
  ~ThreadObserver() = default;
};

// One a process, leaked. Any thread. Not async-signal-safe.
class ThreadRegistry {
 public:
  static ThreadRegistry& Get() noexcept;

  // Held by whoever calls the functions below.
  std::mutex& mutex() noexcept { return mutex_; }

  // The observer while a profile runs, nullptr otherwise. REQUIRES: lock.
  void SetObserver(ThreadObserver* observer) noexcept { observer_ = observer; }
  ThreadObserver* observer() const noexcept { return observer_; }

  // The record of a thread, made if there is none. nullptr: no memory or too many threads.
  // REQUIRES: lock.
  handler::ThreadRecord* FindOrAdd(std::int32_t tid) noexcept;
  // The record of a thread, or nullptr. REQUIRES: lock.
  handler::ThreadRecord* Find(std::int32_t tid) noexcept {
    const auto found = by_tid_.find(tid);
    return found == by_tid_.end() ? nullptr : found->second;
  }
  // REQUIRES: lock, and that the thread is the caller or is gone.
  void Release(handler::ThreadRecord& record) noexcept;

  // Records in use. REQUIRES: lock.
  std::size_t size() const noexcept { return by_tid_.size(); }

  // All records in use. `f` may not add or release. REQUIRES: lock.
  template <class F>
  void ForEach(F&& f) {
    for (auto& entry : by_tid_) f(*entry.second);
  }

  static std::uint32_t IndexOf(const handler::ThreadRecord& record) noexcept {
    return static_cast<std::uint32_t>(&record -
                                      handler::g_shared.records.load(std::memory_order_relaxed));
  }
  // Records below this index have been used at some time. Any thread, no lock.
  std::uint32_t high_water() const noexcept { return high_water_.load(std::memory_order_acquire); }

  // After fork, in the child, lock held: only the calling thread is left, with a new tid and no
  // timer.
  void ResetInChild(handler::ThreadRecord* own) noexcept;

 private:
  ThreadRegistry() = default;
  bool MapRegion() noexcept;

  std::mutex mutex_;
  std::unordered_map<std::int32_t, handler::ThreadRecord*> by_tid_;
  ThreadObserver* observer_ = nullptr;
  std::uint32_t free_ = 0;  // index + 1
  std::atomic<std::uint32_t> high_water_{0};
};

}  // namespace pprof::labels
