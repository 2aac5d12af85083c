// Runs call-frame instructions (DWARF 5, 6.4.2; Linux Standard Base Core, 10.5.1) and reports the
// state at each pc where it changes.
#pragma once

#include <cstdint>
#include <vector>

#include "src/pprof/elf/byte_reader.h"
#include "src/pprof/unwind/cfi_state.h"

namespace pprof::unwind {

// What a CIE says for all its FDEs.
struct Cie {
  bool ok = false;
  std::uint64_t code_alignment = 1;
  std::int64_t data_alignment = 1;
  std::uint64_t return_address_register = 0;
  std::uint8_t pointer_encoding = 0;  // DW_EH_PE_*
  bool has_augmentation_data = false;
  bool signal_frame = false;
  CfiState initial;
};

// Interprets one program. Bounded: every instruction consumes input, remembered states are limited.
class CfiProgram {
 public:
  explicit CfiProgram(const Cie& cie) : cie_(cie), state_(cie.initial) {}

  // emit(pc, state) for each range of pcs, in ascending order of the instructions. False: an
  // instruction is unknown; what was emitted so far holds.
  template <class Emit>
  bool Run(elf::ByteReader program, std::uint64_t pc, Emit&& emit) {
    pc_ = pc;
    while (!program.empty() && program.ok()) {
      const std::uint64_t before = pc_;
      const CfiState state = state_;
      if (!Execute(program)) return false;
      if (pc_ != before) emit(before, state);
    }
    emit(pc_, state_);
    return program.ok();
  }
  const CfiState& state() const { return state_; }

 private:
  static constexpr std::size_t kMaxRemembered = 64;

  bool Execute(elf::ByteReader& program);
  bool ExecuteExtended(std::uint8_t opcode, elf::ByteReader& program);
  bool ExecuteRegisterRule(std::uint8_t opcode, elf::ByteReader& program);
  bool ExecuteCfaRule(std::uint8_t opcode, elf::ByteReader& program);
  bool ExecuteAdvance(std::uint8_t opcode, elf::ByteReader& program);
  void Advance(std::uint64_t delta) { pc_ += delta * cie_.code_alignment; }
  void SetSaved(std::uint64_t reg, std::int64_t offset);
  void SetUnsupported(std::uint64_t reg);
  void SetUndefined(std::uint64_t reg);
  void SetSame(std::uint64_t reg);
  void Restore(std::uint64_t reg);
  void SetCfaExpression(elf::ByteReader expression);
  void SetRegisterExpression(std::uint64_t reg, elf::ByteReader expression);

  const Cie& cie_;
  CfiState state_;
  std::vector<CfiState> remembered_;
  std::uint64_t pc_ = 0;
};

}  // namespace pprof::unwind
