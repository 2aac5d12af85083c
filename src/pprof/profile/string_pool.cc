#include "src/pprof/profile/string_pool.h"

#include <algorithm>
#include <cstring>

namespace pprof::profile {
namespace {

// Fibonacci hashing (Knuth, The Art of Computer Programming 6.4), eight bytes at a time.
std::uint32_t Hash(std::string_view text) {
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15u;
  std::uint64_t hash = text.size() * kGolden;
  while (!text.empty()) {
    std::uint64_t word = 0;
    const std::size_t some = std::min(text.size(), sizeof word);
    std::memcpy(&word, text.data(), some);
    text.remove_prefix(some);
    hash = (hash ^ word) * kGolden;
    hash ^= hash >> 32;
  }
  return static_cast<std::uint32_t>(hash);
}

}  // namespace

std::uint32_t StringPool::Intern(std::string_view text) {
  const std::uint32_t hash = Hash(text);
  if (strings_.size() >= slots_.size() / 2) Grow();
  std::size_t slot = hash & (slots_.size() - 1);
  for (; slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1)) {
    const std::uint32_t id = slots_[slot] - 1;
    if (hashes_[id] == hash && strings_[id] == text) return id;
  }
  const auto id = static_cast<std::uint32_t>(strings_.size());
  strings_.push_back(Store(text));  // there is room: Grow reserved it
  hashes_.push_back(hash);
  slots_[slot] = id + 1;
  return id;
}

std::string_view StringPool::Store(std::string_view text) {
  if (text.empty()) return {};
  if (text.size() > free_bytes_) {
    const std::size_t size = std::max(text.size(), kBlockBytes);
    blocks_.push_back(std::make_unique<char[]>(size));
    free_ = blocks_.back().get();
    free_bytes_ = size;
  }
  char* const stored = free_;
  std::memcpy(stored, text.data(), text.size());
  free_ += text.size();
  free_bytes_ -= text.size();
  return {stored, text.size()};
}

void StringPool::Grow() {
  base::LargeVector<std::uint32_t> slots(std::max<std::size_t>(64, 2 * slots_.size()));
  strings_.reserve(slots.size() / 2);
  hashes_.reserve(slots.size() / 2);
  for (std::size_t id = 0; id < strings_.size(); ++id) {
    std::size_t slot = hashes_[id] & (slots.size() - 1);
    while (slots[slot] != 0) slot = (slot + 1) & (slots.size() - 1);
    slots[slot] = static_cast<std::uint32_t>(id + 1);
  }
  slots_.swap(slots);
}

}  // namespace pprof::profile
