// Remembers which rule holds at a return address, so that a frame costs one cache line instead of
// the page index and the two or three lines of rows that a search reads. A thread's stacks resemble
// each other from sample to sample, and by the next sample the work has swept those lines out of
// the processor's caches.
//
// Belongs to one UnwindTable and lives and ends with it: what is found here always holds for that
// table. An entry is a single word, written and read whole, so handlers of all threads share the
// cache without a lock; at worst one overwrites another's entry.
#pragma once

#include <atomic>
#include <cstdint>

namespace pprof::handler {

// A code address as the tables see it.
struct CodePlace {
  std::uint32_t module;  // index in UnwindTable::modules
  std::uint32_t offset;  // from UnwindModule::base
};

// Async-signal-safe. Zero-filled memory is an empty cache.
class RuleCache {
 public:
  bool Find(CodePlace place, std::uint32_t* rule) const noexcept {
    const std::uint64_t entry = SlotOf(place.offset).load(std::memory_order_relaxed);
    *rule = static_cast<std::uint32_t>(entry);
    return entry >> 32 == TagOf(place) && place.module < kMaxModules;
  }

  void Remember(CodePlace place, std::uint32_t rule) noexcept {
    if (place.module >= kMaxModules) return;
    SlotOf(place.offset).store(TagOf(place) << 32 | rule, std::memory_order_relaxed);
  }

  // Bases are multiples of 4 KiB, so the low bits of an address are those of its offset.
  void Prefetch(std::uint64_t pc) const noexcept {
    __builtin_prefetch(&SlotOf(static_cast<std::uint32_t>(pc)));
  }

 private:
  static constexpr std::uint32_t kSlotBits = 12;
  static constexpr std::uint32_t kSlots = 1u << kSlotBits;
  static constexpr std::uint32_t kOffsetTagBits = 32 - kSlotBits;
  static constexpr std::uint32_t kMaxModules = (1u << kSlotBits) - 1;  // module + 1 fits the rest

  // With the slot's number it names the place exactly. Never 0, which is an empty slot.
  static std::uint64_t TagOf(CodePlace place) noexcept {
    return std::uint64_t{place.module + 1} << kOffsetTagBits | place.offset >> kSlotBits;
  }
  std::atomic<std::uint64_t>& SlotOf(std::uint32_t offset) noexcept {
    return slots_[offset % kSlots];
  }
  const std::atomic<std::uint64_t>& SlotOf(std::uint32_t offset) const noexcept {
    return slots_[offset % kSlots];
  }

  alignas(64) std::atomic<std::uint64_t> slots_[kSlots];
};

}  // namespace pprof::handler
