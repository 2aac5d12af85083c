#include "src/pprof/handler/walk_x86_64.h"
#include "src/pprof/unwind/cfi_state.h"

namespace pprof::unwind {
namespace {

// DWARF register numbers: System V ABI, AMD64 supplement, figure 3.36.
constexpr std::uint32_t kRbp = 6;
constexpr std::uint32_t kRsp = 7;

bool FitsSlot(std::int64_t bytes, int bits) {
  const std::int64_t limit = std::int64_t{1} << (bits - 1);
  return bytes % 8 == 0 && bytes / 8 >= -limit && bytes / 8 < limit;
}

// The row's frame pointer field of `bits` bits; false: it does not fit. The two lowest values mean
// something else.
bool PackSaved(FpRule rule, std::int64_t offset, int bits, std::int32_t* field) {
  const std::int32_t lowest = -(1 << (bits - 1));
  switch (rule) {
    case FpRule::kSame:
      *field = lowest;
      return true;
    case FpRule::kAtFrame:
      *field = lowest + 1;
      return true;
    case FpRule::kAtCfa:
      *field = static_cast<std::int32_t>(offset / 8);
      return FitsSlot(offset, bits) && *field > lowest + 1;
    case FpRule::kUnsupported:
      break;
  }
  return false;
}

bool PackFp(const CfiState& state, int bits, std::int32_t* field) {
  return PackSaved(state.fp, state.fp_offset, bits, field);
}

std::uint32_t PackCfa(const CfiState& state, std::int32_t offset, std::int32_t fp) {
  switch (state.cfa) {
    case CfaSource::kRegister:
      if (state.cfa_register == kRsp) return handler::PackRule(handler::kSp, offset, fp);
      if (state.cfa_register == kRbp) return handler::PackRule(handler::kFp, offset, fp);
      break;
    case CfaSource::kRegisterDeref:
      if (state.cfa_register == kRbp) return handler::PackRule(handler::kFpDeref, offset, fp);
      break;
    case CfaSource::kRegisterDeref8:
      if (state.cfa_register == kRsp) return handler::PackRule(handler::kSpDeref8, offset, fp);
      if (state.cfa_register == kRbp) return handler::PackRule(handler::kFpDeref8, offset, fp);
      break;
    default:
      break;
  }
  return handler::PackSpecial(handler::kBad);
}

}  // namespace

std::uint32_t FramePointerRegister() noexcept { return kRbp; }
std::uint32_t StackPointerRegister() noexcept { return kRsp; }
std::uint32_t BaseRegister() noexcept { return handler::kBaseRegister; }
CfiState InitialState() noexcept { return {}; }
bool IsReturnAddressState(std::uint8_t) noexcept { return false; }
std::uint32_t EndRule() noexcept { return handler::PackSpecial(handler::kEnd); }

std::uint32_t PackState(const CfiState& state, bool signal_frame) noexcept {
  const std::uint32_t bad = handler::PackSpecial(handler::kBad);
  if (signal_frame) return handler::PackSpecial(handler::kSignal);
  if (state.ra == RaRule::kUndefined) return handler::PackSpecial(handler::kStop);
  if (state.ra != RaRule::kAtCfa || state.ra_offset != -8) return bad;
  if (state.cfa == CfaSource::kPlt) {
    return handler::PackSpecial(handler::kPlt + static_cast<std::int32_t>(state.cfa_offset & 15));
  }
  if (!FitsSlot(state.cfa_offset, 16)) return bad;
  const auto offset = static_cast<std::int32_t>(state.cfa_offset / 8);
  std::int32_t fp = 0;
  const bool index = state.cfa == CfaSource::kIndexDeref8;
  const bool other_register =
      state.cfa == CfaSource::kRegister && state.cfa_register != kRsp && state.cfa_register != kRbp;
  if (index || other_register) {
    if (state.cfa_register > 15 || !PackFp(state, 9, &fp)) return bad;
    return handler::PackRegisterRule(index ? handler::kIndexDeref8 : handler::kRegister,
                                     state.cfa_register, offset, fp);
  }
  return PackFp(state, 13, &fp) ? PackCfa(state, offset, fp) : bad;
}

bool NeedsBase(std::uint32_t rule) noexcept {
  return handler::KindOf(rule) == handler::kRegister &&
         handler::RegisterOf(rule) == handler::kBaseRegister;
}

std::uint32_t PackBase(const CfiState& state, bool signal_frame) noexcept {
  std::int32_t slot = 0;
  if (signal_frame || !PackSaved(state.base, state.base_offset, 13, &slot)) return EndRule();
  return handler::PackRule(handler::kSp, 0, slot);
}

}  // namespace pprof::unwind
