// What call-frame instructions have established at one pc, as far as it matters here, and its
// packing into a row. One file an architecture packs: cfi_state_x86_64.cc, cfi_state_aarch64.cc.
#pragma once

#include <cstdint>

namespace pprof::unwind {

// Where the CFA comes from.
enum class CfaSource : std::uint8_t {
  kRegister,        // register + offset
  kRegisterDeref,   // *(register + offset)
  kRegisterDeref8,  // *(register + offset) + 8
  kIndexDeref8,     // *(stack pointer + 8 * register + offset) + 8
  kPlt,
  kUnsupported
};
// Where the caller's frame pointer is.
enum class FpRule : std::uint8_t { kSame, kAtCfa, kAtFrame, kUnsupported };
// Where the return address is. kInRegister: still in the register that the call wrote it to.
enum class RaRule : std::uint8_t { kAtCfa, kInRegister, kUndefined, kUnsupported };

struct CfiState {
  CfaSource cfa = CfaSource::kUnsupported;
  std::uint32_t cfa_register = 0;  // DWARF number
  std::int64_t cfa_offset = 0;     // kPlt: the threshold
  FpRule fp = FpRule::kSame;
  std::int64_t fp_offset = 0;   // from the CFA
  FpRule base = FpRule::kSame;  // the caller's base register, likewise
  std::int64_t base_offset = 0;
  RaRule ra = RaRule::kUnsupported;
  std::int64_t ra_offset = 0;  // from the CFA
};

inline constexpr std::uint32_t kNoRegister = 0xffffffff;

// DWARF register numbers of this machine.
std::uint32_t FramePointerRegister() noexcept;
std::uint32_t StackPointerRegister() noexcept;
// The register that assembly has its CFA in while it calls other functions, which save it;
// kNoRegister where there is none.
std::uint32_t BaseRegister() noexcept;

// What holds before a CIE says anything.
CfiState InitialState() noexcept;
// An instruction without operands that changes no place: return addresses are signed from here on.
bool IsReturnAddressState(std::uint8_t opcode) noexcept;

// The rule of a handler::UnwindRow; rules that cannot be packed or evaluated become the
// architecture's "bad" rule.
std::uint32_t PackState(const CfiState& state, bool signal_frame) noexcept;
std::uint32_t EndRule() noexcept;  // no code
// True: this rule needs the base register.
bool NeedsBase(std::uint32_t rule) noexcept;
// The rule of a row of handler::UnwindModule::base_rows.
std::uint32_t PackBase(const CfiState& state, bool signal_frame) noexcept;

}  // namespace pprof::unwind
