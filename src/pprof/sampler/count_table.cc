#include "src/pprof/sampler/count_table.h"

#include <algorithm>

namespace pprof::sampler {

// The key's entry, or the free one where it would go. REQUIRES: one is free.
CountTable::Entry& CountTable::PlaceOf(base::LargeVector<Entry>& entries, std::uint64_t key) {
  std::uint64_t hash = key * 0x9e3779b97f4a7c15u;
  hash ^= hash >> 32;
  std::size_t place = hash & (entries.size() - 1);
  while (entries[place].count != 0 && entries[place].key != key) {
    place = (place + 1) & (entries.size() - 1);
  }
  return entries[place];
}

bool CountTable::Add(std::uint64_t key, std::uint64_t count, std::size_t byte_limit) {
  if (!entries_.empty()) {
    Entry& known = PlaceOf(entries_, key);
    if (known.count != 0) {
      known.count += count;
      return true;
    }
  }
  if (used_ >= entries_.size() / 4 * 3 && !Grow(byte_limit)) return false;
  PlaceOf(entries_, key) = {key, count};
  ++used_;
  return true;
}

bool CountTable::Grow(std::size_t byte_limit) {
  const std::size_t size = std::max<std::size_t>(64, 2 * entries_.size());
  if (size * sizeof(Entry) > byte_limit) return false;
  base::LargeVector<Entry> larger(size);
  ForEach([&](std::uint64_t key, std::uint64_t count) { PlaceOf(larger, key) = {key, count}; });
  entries_.swap(larger);
  return true;
}

}  // namespace pprof::sampler
