// How often each key was counted. Open addressing, so that it is one array, which is large or
// small: see base/large_vector.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/pprof/base/large_vector.h"

namespace pprof::sampler {

// Not thread-safe. Not async-signal-safe. Add may throw std::bad_alloc, then without effect.
class CountTable {
 public:
  // Adds `count` (above 0) to that of `key`. False: the key is new and would take the table beyond
  // `byte_limit`.
  bool Add(std::uint64_t key, std::uint64_t count, std::size_t byte_limit);

  // f(key, count), in no order.
  template <class F>
  void ForEach(F&& f) const {
    for (const Entry& entry : entries_) {
      if (entry.count != 0) f(entry.key, entry.count);
    }
  }
  std::size_t size() const { return used_; }
  std::size_t bytes() const { return entries_.size() * sizeof(Entry); }

 private:
  struct Entry {
    std::uint64_t key;
    std::uint64_t count;  // 0: free
  };

  static Entry& PlaceOf(base::LargeVector<Entry>& entries, std::uint64_t key);
  bool Grow(std::size_t byte_limit);

  base::LargeVector<Entry> entries_;  // power of two, at most three quarters in use
  std::size_t used_ = 0;
};

}  // namespace pprof::sampler
