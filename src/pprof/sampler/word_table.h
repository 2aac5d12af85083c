// Interns strings of 64-bit words: equal content, equal id. The storage of stacks and contexts;
// knows what it holds in bytes, so that a cap can be kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/pprof/base/large_vector.h"

namespace pprof::sampler {

// Not thread-safe. Not async-signal-safe. Intern may throw std::bad_alloc.
class WordTable {
 public:
  struct View {
    const std::uint64_t* words;
    std::uint32_t count;
  };
  static constexpr std::uint32_t kFull = ~0u;

  // The id of a content, given out from 0 on. kFull: it is new and would take the table beyond
  // `byte_limit`.
  std::uint32_t Intern(View content, std::size_t byte_limit);
  View at(std::uint32_t id) const { return {entries_[id].words, entries_[id].count}; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(entries_.size()); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    const std::uint64_t* words;
    std::uint32_t count;
    std::uint32_t hash;
  };
  static constexpr std::size_t kBlockWords = 8192;  // 64 KiB, of which only used pages cost

  std::size_t GrowthFor(std::uint32_t words) const;
  const std::uint64_t* Store(View content);
  void Rehash();

  base::LargeVector<Entry> entries_;
  base::LargeVector<std::uint32_t> slots_;  // id + 1; 0: empty; power of two
  std::vector<base::LargeVector<std::uint64_t>> blocks_;
  std::size_t block_used_ = 0;
  std::size_t block_size_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace pprof::sampler
