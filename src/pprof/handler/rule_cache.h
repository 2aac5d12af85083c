// Remembers which rule holds at a return address, so that a frame that its thread does not remember
// (thread_rules.h) costs one cache line instead of the page index and the two or three lines of
// rows that a search reads: by then the work has swept those out of the processor's caches.
//
// Belongs to one UnwindTable and lives and ends with it: what is found here always holds for that
// table. An entry is a single word, written and read whole, so handlers of all threads share the
// cache without a lock; at worst one overwrites another's entry.
#pragma once

#include <atomic>
#include <cstdint>

namespace pprof::handler {

// A rule, and the place in the code that it is for.
struct CachedRule {
  std::uint32_t module;  // index in UnwindTable::modules
  std::uint32_t offset;  // from UnwindModule::base
  std::uint32_t rule;
};

// Async-signal-safe. Zero-filled memory is an empty cache.
class RuleCache {
 public:
  // What the slot for `pc` holds, which may be the rule of another address with the same low bits:
  // the caller compares. False: nothing.
  bool Find(std::uint64_t pc, CachedRule* found) const noexcept {
    const std::uint64_t slot = pc % kSlots;
    const std::uint64_t entry = slots_[slot].load(std::memory_order_relaxed);
    const auto offset_high = static_cast<std::uint32_t>(entry >> 32) << kSlotBits;
    found->module = static_cast<std::uint32_t>(entry >> (64 - kModuleBits)) - 1;
    found->offset = offset_high | static_cast<std::uint32_t>(slot);
    found->rule = static_cast<std::uint32_t>(entry);
    return entry != 0;
  }

  // Bases are multiples of 4 KiB, so the low bits of an address are those of its offset; if one
  // were not, its rules would only not be found.
  void Remember(const CachedRule& rule) noexcept {
    if (rule.module >= kMaxModules) return;
    const std::uint64_t high = std::uint64_t{rule.module + 1} << (64 - kModuleBits) |
                               std::uint64_t{rule.offset >> kSlotBits} << 32;
    slots_[rule.offset % kSlots].store(high | rule.rule, std::memory_order_relaxed);
  }

 private:
  // One entry: module + 1 (12 bits), the offset's bits that the slot does not tell (20), rule (32).
  static constexpr unsigned kSlotBits = 12;
  static constexpr unsigned kModuleBits = 12;
  static constexpr std::uint32_t kSlots = 1u << kSlotBits;
  static constexpr std::uint32_t kMaxModules = (1u << kModuleBits) - 1;
  static_assert(32 - kSlotBits + kModuleBits == 32, "an entry is one word");

  alignas(64) std::atomic<std::uint64_t> slots_[kSlots];
};

}  // namespace pprof::handler
