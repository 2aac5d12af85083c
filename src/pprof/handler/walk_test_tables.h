// Hand-made unwind tables of x86-64.
#pragma once

#include <ucontext.h>

#include <cstdint>
#include <iterator>

#include "src/pprof/handler/unwind_table.h"
#include "src/pprof/handler/walk_fixture.h"
#include "src/pprof/handler/walk_x86_64.h"

namespace pprof::handler {

inline constexpr std::uintptr_t kStartPc = kCode + 0x100;
inline constexpr std::uintptr_t kSpPc = kCode + 0x200;
inline constexpr std::uintptr_t kFpPc = kCode + 0x300;
inline constexpr std::uintptr_t kDerefPc = kCode + 0x400;
inline constexpr std::uintptr_t kSignalPc = kCode + 0x500;
inline constexpr std::uintptr_t kPltPc = kCode + 0x600;
inline constexpr std::uintptr_t kRegisterPc = kCode + 0x700;
inline constexpr std::uintptr_t kBadPc = kCode + 0x800;
inline constexpr std::uintptr_t kStackDerefPc = kCode + 0x900;
inline constexpr std::uintptr_t kNoRowPc = kCode + 0xa00;
inline constexpr std::uintptr_t kSameFpPc = kCode + 0xb00;
inline constexpr std::uintptr_t kHugePc = kCode + 0xc00;
inline constexpr std::uintptr_t kFpAtFpPc = kCode + 0xd00;
inline constexpr std::uintptr_t kBasePc = kCode + 0xe00;
inline constexpr std::uintptr_t kSavesBasePc = kCode + 0xf00;
inline constexpr std::uintptr_t kFpDeref8Pc = kCode + 0x1100;
inline constexpr std::uintptr_t kIndexPc = kCode + 0x1200;
inline constexpr std::uint32_t kR10 = 10;

// Each rule holds for 0x100 bytes.
inline constexpr UnwindRow kRows[] = {
    {0x100, PackSpecial(kStop)},
    {0x200, PackRule(kSp, 2, kFpSame)},  // one word above the return address
    {0x300, PackRule(kFp, 2, -2)},       // push rbp; mov rbp, rsp
    {0x400, PackRule(kFpDeref, -1, kFpAtFp)},
    {0x4ff, PackSpecial(kSignal)},  // one byte before the trampoline, as libc says it
    {0x600, PackSpecial(kPlt + 11)},
    {0x700, PackRegisterRule(kRegister, kR10, 0, kShortFpSame)},
    {0x800, PackSpecial(kBad)},
    {0x900, PackRule(kSpDeref8, 1, kFpSame)},
    {0xa00, PackSpecial(kEnd)},
    {0xb00, PackRule(kSp, 1, kFpSame)},
    {0xc00, PackRule(kSp, -1, kFpSame)},
    {0xd00, PackRule(kSp, 1, kFpAtFp)},
    {0xe00, PackRegisterRule(kRegister, kBaseRegister, 0, kShortFpSame)},
    {0xf00, PackRule(kSp, 3, kFpSame)},
    {0x1000, PackSpecial(kEnd)},
    {0x1100, PackRule(kFpDeref8, -2, kFpSame)},
    {0x1200, PackRegisterRule(kIndexDeref8, kR10, 1, -2)},
    {0x1300, PackSpecial(kEnd)},
};

// Where each saves rbx.
inline constexpr UnwindRow kBaseRows[] = {
    {0x200, PackSpecial(kEnd)},
    {0xe00, PackRule(kSp, 0, -3)},
    {0xf00, PackRule(kSp, 0, -2)},
    {0x1000, PackSpecial(kEnd)},
};

class WalkTest : public WalkFixture {
 protected:
  WalkTest() : WalkFixture(kRows, kBaseRows, std::size(kBaseRows)) {}

  void Start(std::uintptr_t pc, std::uintptr_t sp, std::uintptr_t fp = 0) {
    Register(REG_RIP, pc);
    Register(REG_RSP, sp);
    Register(REG_RBP, fp);
  }
  void Register(int index, std::uintptr_t value) {
    context_.uc_mcontext.gregs[index] = static_cast<greg_t>(value);
  }
};

}  // namespace pprof::handler
