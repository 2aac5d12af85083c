#include "src/pprof/unwind/cfi_program.h"

namespace pprof::unwind {
namespace {

// DWARF 5, table 7.29, and the GNU extensions of the LSB.
enum Opcode : std::uint8_t {
  kNop = 0x00,
  kSetLoc = 0x01,
  kAdvanceLoc1 = 0x02,
  kAdvanceLoc2 = 0x03,
  kAdvanceLoc4 = 0x04,
  kOffsetExtended = 0x05,
  kRestoreExtended = 0x06,
  kUndefined = 0x07,
  kSameValue = 0x08,
  kRegister = 0x09,
  kRememberState = 0x0a,
  kRestoreState = 0x0b,
  kDefCfa = 0x0c,
  kDefCfaRegister = 0x0d,
  kDefCfaOffset = 0x0e,
  kDefCfaExpression = 0x0f,
  kExpression = 0x10,
  kOffsetExtendedSf = 0x11,
  kDefCfaSf = 0x12,
  kDefCfaOffsetSf = 0x13,
  kValOffset = 0x14,
  kValOffsetSf = 0x15,
  kValExpression = 0x16,
  kGnuArgsSize = 0x2e,
  kGnuNegativeOffsetExtended = 0x2f,
};

// Expression operations (DWARF 5, table 7.9).
constexpr std::uint8_t kOpDeref = 0x06;
constexpr std::uint8_t kOpPlusUconst = 0x23;
constexpr std::uint8_t kOpBreg0 = 0x70;
constexpr std::uint8_t kOpBreg31 = 0x8f;
constexpr std::uint8_t kOpLit0 = 0x30;
constexpr std::uint8_t kOpLit15 = 0x3f;

// The tail of the expression that linkers write for PLT stubs, behind "breg7 8, breg16 0, lit15,
// and, lit<threshold>": ge, lit3, shl, plus.
constexpr std::uint8_t kPltTail[] = {0x2a, 0x33, 0x24, 0x22};

// Factored offsets wrap around like everything that a hostile section computes.
std::int64_t Factored(std::uint64_t offset, std::int64_t alignment) {
  return static_cast<std::int64_t>(offset * static_cast<std::uint64_t>(alignment));
}

bool IsPltExpression(elf::ByteReader expression, std::int64_t* threshold) {
  static constexpr std::uint8_t kHead[] = {0x77, 0x08, 0x80, 0x00, 0x3f, 0x1a};
  for (const std::uint8_t byte : kHead) {
    if (expression.U8() != byte) return false;
  }
  const std::uint8_t literal = expression.U8();
  for (const std::uint8_t byte : kPltTail) {
    if (expression.U8() != byte) return false;
  }
  if (!expression.ok() || !expression.empty() || literal < kOpLit0 || literal > kOpLit15)
    return false;
  *threshold = literal - kOpLit0;
  return true;
}

// The rest of an expression: "plus_uconst 8".
bool IsPlus8(elf::ByteReader expression) {
  return expression.U8() == kOpPlusUconst && expression.Uleb() == 8 && expression.ok() &&
         expression.empty();
}

// OpenSSL's multiplications: "breg<stack pointer> offset, breg<index> 0, lit8, mul, plus, deref,
// plus_uconst 8". Sets the index register and the offset only if it is one.
bool IsIndexExpression(elf::ByteReader expression, std::uint32_t* index, std::int64_t* offset) {
  static constexpr std::uint8_t kMiddle[] = {kOpLit0 + 8, 0x1e, 0x22, kOpDeref};
  if (expression.U8() != kOpBreg0 + StackPointerRegister()) return false;
  const std::int64_t from_stack_pointer = expression.Sleb();
  const std::uint8_t base = expression.U8();
  if (base < kOpBreg0 || base > kOpBreg31 || expression.Sleb() != 0) return false;
  for (const std::uint8_t byte : kMiddle) {
    if (expression.U8() != byte) return false;
  }
  if (!IsPlus8(expression)) return false;
  *index = base - kOpBreg0;
  *offset = from_stack_pointer;
  return true;
}

}  // namespace

bool CfiProgram::Execute(elf::ByteReader& program) {
  const std::uint8_t opcode = program.U8();
  const std::uint8_t operand = opcode & 0x3f;
  switch (opcode >> 6) {
    case 1:
      Advance(operand);
      return true;
    case 2:
      SetSaved(operand, Factored(program.Uleb(), cie_.data_alignment));
      return true;
    case 3:
      Restore(operand);
      return true;
    default:
      return ExecuteExtended(opcode, program);
  }
}

bool CfiProgram::ExecuteExtended(std::uint8_t opcode, elf::ByteReader& program) {
  if (IsReturnAddressState(opcode)) return true;
  switch (opcode) {
    case kNop:
      return true;
    case kGnuArgsSize:
      program.Uleb();
      return true;
    case kRememberState:
      if (remembered_.size() >= kMaxRemembered) return false;
      remembered_.push_back(state_);
      return true;
    case kRestoreState:
      if (remembered_.empty()) return false;
      state_ = remembered_.back();
      remembered_.pop_back();
      return true;
    case kSetLoc:
    case kAdvanceLoc1:
    case kAdvanceLoc2:
    case kAdvanceLoc4:
      return ExecuteAdvance(opcode, program);
    case kDefCfa:
    case kDefCfaRegister:
    case kDefCfaOffset:
    case kDefCfaExpression:
    case kDefCfaSf:
    case kDefCfaOffsetSf:
      return ExecuteCfaRule(opcode, program);
    default:
      return ExecuteRegisterRule(opcode, program);
  }
}

bool CfiProgram::ExecuteAdvance(std::uint8_t opcode, elf::ByteReader& program) {
  switch (opcode) {
    case kAdvanceLoc1:
      Advance(program.U8());
      return true;
    case kAdvanceLoc2:
      Advance(program.U16());
      return true;
    case kAdvanceLoc4:
      Advance(program.U32());
      return true;
    default:
      return false;  // set_loc: absolute addresses, which no compiler writes into .eh_frame
  }
}

bool CfiProgram::ExecuteCfaRule(std::uint8_t opcode, elf::ByteReader& program) {
  if (opcode == kDefCfaExpression) {
    SetCfaExpression(program.Take(program.Uleb()));
    return true;
  }
  if (opcode == kDefCfa || opcode == kDefCfaSf || opcode == kDefCfaRegister) {
    state_.cfa_register = static_cast<std::uint32_t>(program.Uleb());
    state_.cfa = CfaSource::kRegister;
  }
  if (opcode == kDefCfa || opcode == kDefCfaOffset) {
    state_.cfa_offset = static_cast<std::int64_t>(program.Uleb());
  } else if (opcode != kDefCfaRegister) {
    state_.cfa_offset = Factored(static_cast<std::uint64_t>(program.Sleb()), cie_.data_alignment);
  }
  return true;
}

bool CfiProgram::ExecuteRegisterRule(std::uint8_t opcode, elf::ByteReader& program) {
  const std::uint64_t reg = program.Uleb();
  switch (opcode) {
    case kOffsetExtended:
      SetSaved(reg, Factored(program.Uleb(), cie_.data_alignment));
      return true;
    case kOffsetExtendedSf:
      SetSaved(reg, Factored(static_cast<std::uint64_t>(program.Sleb()), cie_.data_alignment));
      return true;
    case kGnuNegativeOffsetExtended:
      SetSaved(reg, Factored(std::uint64_t{0} - program.Uleb(), cie_.data_alignment));
      return true;
    case kRestoreExtended:
      Restore(reg);
      return true;
    case kUndefined:
      SetUndefined(reg);
      return true;
    case kSameValue:
      SetSame(reg);
      return true;
    case kRegister:
    case kValOffset:
      program.Uleb();
      break;
    case kValOffsetSf:
      program.Sleb();
      break;
    case kExpression:
      SetRegisterExpression(reg, program.Take(program.Uleb()));
      return true;
    case kValExpression:
      program.Skip(program.Uleb());
      break;
    default:
      return false;
  }
  SetUnsupported(reg);
  return true;
}

void CfiProgram::SetSaved(std::uint64_t reg, std::int64_t offset) {
  if (reg == FramePointerRegister()) {
    state_.fp = FpRule::kAtCfa;
    state_.fp_offset = offset;
  } else if (reg == BaseRegister()) {
    state_.base = FpRule::kAtCfa;
    state_.base_offset = offset;
  } else if (reg == cie_.return_address_register) {
    state_.ra = RaRule::kAtCfa;
    state_.ra_offset = offset;
  }
}

void CfiProgram::SetUnsupported(std::uint64_t reg) {
  if (reg == FramePointerRegister()) state_.fp = FpRule::kUnsupported;
  if (reg == BaseRegister()) state_.base = FpRule::kUnsupported;
  if (reg == cie_.return_address_register) state_.ra = RaRule::kUnsupported;
}

void CfiProgram::SetUndefined(std::uint64_t reg) {
  if (reg == FramePointerRegister()) state_.fp = FpRule::kSame;  // nobody needs it any more
  if (reg == BaseRegister()) state_.base = FpRule::kUnsupported;
  if (reg == cie_.return_address_register) state_.ra = RaRule::kUndefined;
}

void CfiProgram::SetSame(std::uint64_t reg) {
  if (reg == FramePointerRegister()) state_.fp = FpRule::kSame;
  if (reg == BaseRegister()) state_.base = FpRule::kSame;
  if (reg == cie_.return_address_register) state_.ra = RaRule::kInRegister;
}

void CfiProgram::Restore(std::uint64_t reg) {
  if (reg == FramePointerRegister()) {
    state_.fp = cie_.initial.fp;
    state_.fp_offset = cie_.initial.fp_offset;
  } else if (reg == BaseRegister()) {
    state_.base = cie_.initial.base;
    state_.base_offset = cie_.initial.base_offset;
  } else if (reg == cie_.return_address_register) {
    state_.ra = cie_.initial.ra;
    state_.ra_offset = cie_.initial.ra_offset;
  }
}

void CfiProgram::SetCfaExpression(elf::ByteReader expression) {
  state_.cfa = CfaSource::kUnsupported;
  if (IsPltExpression(expression, &state_.cfa_offset)) {
    state_.cfa = CfaSource::kPlt;
    return;
  }
  if (IsIndexExpression(expression, &state_.cfa_register, &state_.cfa_offset)) {
    state_.cfa = CfaSource::kIndexDeref8;
    return;
  }
  const std::uint8_t base = expression.U8();
  const std::int64_t offset = expression.Sleb();
  if (base < kOpBreg0 || base > kOpBreg31 || expression.U8() != kOpDeref || !expression.ok())
    return;
  state_.cfa_register = base - kOpBreg0;
  state_.cfa_offset = offset;
  if (expression.empty()) {
    state_.cfa = CfaSource::kRegisterDeref;
  } else if (IsPlus8(expression)) {
    state_.cfa = CfaSource::kRegisterDeref8;
  }
}

void CfiProgram::SetRegisterExpression(std::uint64_t reg, elf::ByteReader expression) {
  const std::uint8_t base = expression.U8();
  const std::int64_t offset = expression.Sleb();
  const bool at_frame_pointer = base == kOpBreg0 + FramePointerRegister() && offset == 0 &&
                                expression.ok() && expression.empty();
  SetUnsupported(reg);
  if (reg == FramePointerRegister() && at_frame_pointer) state_.fp = FpRule::kAtFrame;
}

}  // namespace pprof::unwind
