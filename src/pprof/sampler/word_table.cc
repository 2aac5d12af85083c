#include "src/pprof/sampler/word_table.h"

#include <algorithm>
#include <cstring>

namespace pprof::sampler {
namespace {

// Multiply-and-fold: good spread over few distinct high bits, which is what program counters have.
std::uint32_t Hash(WordTable::View content) {
  std::uint64_t hash = content.count * 0x9e3779b97f4a7c15u;
  for (std::uint32_t i = 0; i < content.count; ++i) {
    hash = (hash ^ content.words[i]) * 0xff51afd7ed558ccdu;
    hash ^= hash >> 32;
  }
  return static_cast<std::uint32_t>(hash);
}

bool Equal(WordTable::View a, WordTable::View b) {
  return a.count == b.count && std::memcmp(a.words, b.words, std::size_t{a.count} * 8) == 0;
}

}  // namespace

std::uint32_t WordTable::Intern(View content, std::size_t byte_limit) {
  const std::uint32_t hash = Hash(content);
  if (!slots_.empty()) {
    for (std::size_t i = hash & (slots_.size() - 1); slots_[i] != 0;
         i = (i + 1) & (slots_.size() - 1)) {
      const std::uint32_t id = slots_[i] - 1;
      if (entries_[id].hash == hash && Equal(at(id), content)) return id;
    }
  }
  if (bytes_ + GrowthFor(content.count) > byte_limit) return kFull;
  if (entries_.size() + 1 > slots_.size() / 2) Rehash();
  if (entries_.size() == entries_.capacity()) {
    const std::size_t capacity = std::max(std::size_t{64}, entries_.capacity() * 2);
    const std::size_t before = entries_.capacity();
    entries_.reserve(capacity);
    bytes_ += (entries_.capacity() - before) * sizeof(Entry);
  }
  entries_.push_back({Store(content), content.count, hash});
  std::size_t slot = hash & (slots_.size() - 1);
  while (slots_[slot] != 0) slot = (slot + 1) & (slots_.size() - 1);
  slots_[slot] = static_cast<std::uint32_t>(entries_.size());
  return static_cast<std::uint32_t>(entries_.size() - 1);
}

std::size_t WordTable::GrowthFor(std::uint32_t words) const {
  std::size_t growth = 0;
  if (block_used_ + words > block_size_) growth += std::max<std::size_t>(words, kBlockWords) * 8;
  if (entries_.size() + 1 > slots_.size() / 2) {
    growth += std::max(std::size_t{128}, slots_.size()) * sizeof(slots_[0]);
  }
  if (entries_.size() == entries_.capacity()) {
    growth += std::max(std::size_t{64}, entries_.capacity()) * sizeof(Entry);
  }
  return growth;
}

const std::uint64_t* WordTable::Store(View content) {
  if (block_used_ + content.count > block_size_) {
    const std::size_t size = std::max<std::size_t>(content.count, kBlockWords);
    base::LargeVector<std::uint64_t> block;
    block.reserve(size);  // not touched before it is used
    blocks_.push_back(std::move(block));
    bytes_ += size * 8;
    block_used_ = 0;
    block_size_ = size;
  }
  base::LargeVector<std::uint64_t>& block = blocks_.back();
  block.insert(block.end(), content.words, content.words + content.count);
  block_used_ += content.count;
  return block.data() + block.size() - content.count;
}

void WordTable::Rehash() {
  base::LargeVector<std::uint32_t> fresh(std::max(std::size_t{128}, slots_.size() * 2));
  for (std::size_t id = 0; id < entries_.size(); ++id) {
    std::size_t slot = entries_[id].hash & (fresh.size() - 1);
    while (fresh[slot] != 0) slot = (slot + 1) & (fresh.size() - 1);
    fresh[slot] = static_cast<std::uint32_t>(id + 1);
  }
  bytes_ += (fresh.size() - slots_.size()) * sizeof(fresh[0]);
  slots_.swap(fresh);
}

}  // namespace pprof::sampler
