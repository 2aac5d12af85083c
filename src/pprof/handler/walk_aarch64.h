// How an UnwindRow says where the caller's frame is, on aarch64. A call leaves the return address
// in x30; a function that calls others saves x30, and x29 if it changes it, anywhere in its frame.
//
//   bits 0-2    RuleKind
//   bits 3-16   (CFA - base) / 16; kSpecial: a SpecialRule
//   bits 17-24  where the return address is: a slot, or kInPlace: still in x30
//   bits 25-31  where the caller's x29 is: a slot, or kInPlace: x29 is the caller's
//
// Slots are 8 bytes. Compilers keep what they save together, at the one or the other end of the
// frame: so slots count from the CFA downwards (1 is right below it) or from the base upwards (1 is
// at it).
#pragma once

#include <cstdint>

namespace pprof::handler {

enum RuleKind : std::uint32_t {
  kSpecial = 0,
  kSpBelowCfa = 1,  // base: sp; slots count from the CFA
  kSpAboveSp = 2,   // base: sp; slots count from sp
  kFpBelowCfa = 3,  // base: x29
  kFpAboveFp = 4,
};

enum SpecialRule : std::uint32_t {
  kEnd = 0,     // no code here
  kStop = 1,    // the thread's entry: there is no caller
  kSignal = 2,  // the kernel's signal frame: registers are in the ucontext behind the siginfo at sp
  kBad = 3,     // rules that are not evaluated
};

inline constexpr std::uint32_t kInPlace = 0;
inline constexpr std::uint32_t kMaxCfaUnits = (1u << 14) - 1;
inline constexpr std::uint32_t kMaxReturnSlot = (1u << 8) - 1;
inline constexpr std::uint32_t kMaxFpSlot = (1u << 7) - 1;

constexpr std::uint32_t PackRule(RuleKind kind, std::uint32_t cfa_units, std::uint32_t return_slot,
                                 std::uint32_t fp_slot) {
  return kind | cfa_units << 3 | return_slot << 17 | fp_slot << 25;
}
constexpr std::uint32_t PackSpecial(std::uint32_t special) {
  return PackRule(kSpecial, special, kInPlace, kInPlace);
}

constexpr RuleKind KindOf(std::uint32_t rule) { return static_cast<RuleKind>(rule & 7); }
constexpr std::uint32_t CfaUnitsOf(std::uint32_t rule) { return rule >> 3 & kMaxCfaUnits; }
constexpr std::uint32_t ReturnSlotOf(std::uint32_t rule) { return rule >> 17 & kMaxReturnSlot; }
constexpr std::uint32_t FpSlotOf(std::uint32_t rule) { return rule >> 25; }

}  // namespace pprof::handler
