// How an UnwindRow says where the caller's frame is, on x86-64. The return address is always at CFA
// - 8 (System V ABI, AMD64 supplement, 3.2.2); rows that would need anything else are kBad.
//
//   bits 0-2    RuleKind
//   bits 3-18   offset / 8, signed: see RuleKind
//   bits 19-31  where the caller's rbp is saved, (address - CFA) / 8, signed; two values are
//   special kRegister, kIndexDeref8:  bits 19-22 are the DWARF number of the register, bits 23-31
//   the (shorter) rbp field
#pragma once

#include <cstdint>

namespace pprof::handler {

enum RuleKind : std::uint32_t {
  kSpecial = 0,      // offset field holds a SpecialRule
  kSp = 1,           // CFA = rsp + offset
  kFp = 2,           // CFA = rbp + offset
  kFpDeref = 3,      // CFA = *(rbp + offset): gcc's realigned frames
  kSpDeref8 = 4,     // CFA = *(rsp + offset) + 8: hand-written assembly that saves the old stack
                     // pointer
  kRegister = 5,     // CFA = register + offset: of use where all registers are known, in the
                     // innermost frame, or if the register is kBaseRegister
  kFpDeref8 = 6,     // CFA = *(rbp + offset) + 8
  kIndexDeref8 = 7,  // CFA = *(rsp + 8 * register + offset) + 8: in the innermost frame only
};

enum SpecialRule : std::int32_t {
  kEnd = 0,     // no code here
  kStop = 1,    // the thread's entry: there is no caller
  kSignal = 2,  // the kernel's signal frame: registers are in the ucontext at rsp
  kBad = 3,     // rules that are not evaluated
  kPlt = 4,     // + threshold: CFA = rsp + 8 + ((pc & 15) >= threshold ? 8 : 0), linkers' PLT stubs
};

inline constexpr std::int32_t kFpSame = -4096;      // rbp is the caller's
inline constexpr std::int32_t kFpAtFp = -4095;      // the caller's rbp is at *rbp
inline constexpr std::int32_t kShortFpSame = -256;  // the same for kRegister, kIndexDeref8
inline constexpr std::int32_t kShortFpAtFp = -255;

// rbx, by its DWARF number. The loader's resolver of lazily bound functions has its CFA there and
// calls C code. Rows of UnwindModule::base_rows are kSp with the place of the caller's rbx in the
// field of rbp, or kSpecial: not known.
inline constexpr std::uint32_t kBaseRegister = 3;

constexpr std::uint32_t PackRule(RuleKind kind, std::int32_t offset, std::int32_t fp) {
  return kind | (static_cast<std::uint32_t>(offset) & 0xffff) << 3 |
         (static_cast<std::uint32_t>(fp) & 0x1fff) << 19;
}
constexpr std::uint32_t PackRegisterRule(RuleKind kind, std::uint32_t reg, std::int32_t offset,
                                         std::int32_t fp) {
  return kind | (static_cast<std::uint32_t>(offset) & 0xffff) << 3 | (reg & 15) << 19 |
         (static_cast<std::uint32_t>(fp) & 0x1ff) << 23;
}
constexpr std::uint32_t PackSpecial(std::int32_t special) {
  return PackRule(kSpecial, special, kFpSame);
}

constexpr RuleKind KindOf(std::uint32_t rule) { return static_cast<RuleKind>(rule & 7); }
constexpr std::int32_t OffsetOf(std::uint32_t rule) {
  return static_cast<std::int16_t>(rule >> 3 & 0xffff);
}
constexpr std::int32_t FpOf(std::uint32_t rule) { return static_cast<std::int32_t>(rule) >> 19; }
constexpr std::uint32_t RegisterOf(std::uint32_t rule) { return rule >> 19 & 15; }
constexpr std::int32_t ShortFpOf(std::uint32_t rule) {
  return static_cast<std::int32_t>(rule) >> 23;
}

}  // namespace pprof::handler
