#include "src/pprof/handler/walk_aarch64.h"
#include "src/pprof/unwind/cfi_state.h"

namespace pprof::unwind {
namespace {

// DWARF register numbers: DWARF for the Arm 64-bit Architecture, 4.1.
constexpr std::uint32_t kX29 = 29;
constexpr std::uint32_t kSp = 31;

// DW_CFA_AARCH64_negate_ra_state, and the same with the signing instruction's address: they say
// whether the return address is signed at present. The walk strips signatures without being told.
constexpr std::uint8_t kNegateRaStateWithPc = 0x2c;
constexpr std::uint8_t kNegateRaState = 0x2d;

struct Saved {
  bool in_place;
  std::int64_t offset;  // from the CFA
};

// The slot of what lies at `offset` from the CFA; false: it has none, counted in that direction.
bool PackSlot(const Saved& saved, std::int64_t cfa_offset, bool above, std::uint32_t highest,
              std::uint32_t* slot) {
  *slot = handler::kInPlace;
  if (saved.in_place) return true;
  // Not in the caller's frame, and not so far away that sums wrap around.
  constexpr std::int64_t kLowest = -(std::int64_t{1} << 20);
  if (saved.offset % 8 != 0 || saved.offset >= 0 || saved.offset < kLowest) return false;
  const std::int64_t count = above ? (cfa_offset + saved.offset) / 8 + 1 : -saved.offset / 8;
  if (count < 1 || count > std::int64_t{highest}) return false;
  *slot = static_cast<std::uint32_t>(count);
  return true;
}

bool PackSlots(const CfiState& state, handler::RuleKind kind, bool above, std::uint32_t* rule) {
  const Saved fp = {state.fp == FpRule::kSame, state.fp_offset};
  const Saved ra = {state.ra == RaRule::kInRegister, state.ra_offset};
  std::uint32_t fp_slot = 0;
  std::uint32_t ra_slot = 0;
  if (!PackSlot(fp, state.cfa_offset, above, handler::kMaxFpSlot, &fp_slot) ||
      !PackSlot(ra, state.cfa_offset, above, handler::kMaxReturnSlot, &ra_slot)) {
    return false;
  }
  *rule =
      handler::PackRule(kind, static_cast<std::uint32_t>(state.cfa_offset / 16), ra_slot, fp_slot);
  return true;
}

}  // namespace

std::uint32_t FramePointerRegister() noexcept { return kX29; }
std::uint32_t StackPointerRegister() noexcept { return kSp; }
std::uint32_t BaseRegister() noexcept { return kNoRegister; }
std::uint32_t EndRule() noexcept { return handler::PackSpecial(handler::kEnd); }

// A call writes x30, so that is where the return address is until the function saves it.
CfiState InitialState() noexcept {
  CfiState state;
  state.ra = RaRule::kInRegister;
  return state;
}

bool IsReturnAddressState(std::uint8_t opcode) noexcept {
  return opcode == kNegateRaState || opcode == kNegateRaStateWithPc;
}

std::uint32_t PackState(const CfiState& state, bool signal_frame) noexcept {
  const std::uint32_t bad = handler::PackSpecial(handler::kBad);
  if (signal_frame) return handler::PackSpecial(handler::kSignal);
  if (state.ra == RaRule::kUndefined) return handler::PackSpecial(handler::kStop);
  if (state.ra == RaRule::kUnsupported || state.cfa != CfaSource::kRegister) return bad;
  if (state.fp != FpRule::kSame && state.fp != FpRule::kAtCfa) return bad;
  const std::int64_t limit = std::int64_t{handler::kMaxCfaUnits} * 16;
  if (state.cfa_offset < 0 || state.cfa_offset > limit || state.cfa_offset % 16 != 0) return bad;
  std::uint32_t rule = bad;
  if (state.cfa_register == kSp) {
    if (!PackSlots(state, handler::kSpBelowCfa, false, &rule))
      PackSlots(state, handler::kSpAboveSp, true, &rule);
  } else if (state.cfa_register == kX29) {
    if (!PackSlots(state, handler::kFpBelowCfa, false, &rule))
      PackSlots(state, handler::kFpAboveFp, true, &rule);
  }
  return rule;
}

bool NeedsBase(std::uint32_t) noexcept { return false; }
std::uint32_t PackBase(const CfiState&, bool) noexcept { return EndRule(); }

}  // namespace pprof::unwind
