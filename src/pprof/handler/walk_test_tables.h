// Hand-made unwind tables and a stack for tests of the walk.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

#include "src/pprof/handler/rule_cache.h"
#include "src/pprof/handler/unwind_table.h"
#include "src/pprof/handler/walk.h"
#include "src/pprof/handler/walk_x86_64.h"

namespace pprof::handler {

inline constexpr std::uintptr_t kCode = 0x10000;  // never executed, never read
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
inline constexpr std::uintptr_t kCodeEnd = kCode + 0x10000;
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

class WalkTest : public testing::Test {
 protected:
  static constexpr std::size_t kWords = 512;

  WalkTest() {
    for (std::uint32_t page = 0; page <= kPages; ++page) {
      while (pages_[page] < std::size(kRows) && kRows[pages_[page]].pc >> kUnwindPageShift < page) {
        ++pages_[page];
      }
    }
    module_ = {kCode,  kCodeEnd,  kCode,
               kRows,  pages_,    std::size(kRows),
               kPages, kBaseRows, std::size(kBaseRows)};
    table_ = {&module_, 1, &cache_, 2};
    plain_table_ = {&module_, 1, nullptr, 1};
    previous_ = g_unwind_table.exchange(&table_);
    bounds_ = {Address(0), Address(kWords)};
  }
  ~WalkTest() override { g_unwind_table.store(previous_); }

  std::uintptr_t Address(std::size_t word) const {
    return reinterpret_cast<std::uintptr_t>(stack_ + word);
  }
  void Start(std::uintptr_t pc, std::uintptr_t sp, std::uintptr_t fp = 0) {
    Register(REG_RIP, pc);
    Register(REG_RSP, sp);
    Register(REG_RBP, fp);
  }
  void Register(int index, std::uintptr_t value) {
    context_.uc_mcontext.gregs[index] = static_cast<greg_t>(value);
  }
  // The walk must be the same whatever is remembered: nothing, by the table's cache, by the thread.
  WalkEnd Run(std::uint32_t max = 64) {
    g_unwind_table.store(&plain_table_);
    const WalkEnd end = RunOnce(max);
    const std::vector<std::uint64_t> frames = frames_;
    for (const UnwindTable* const table : {&plain_table_, &table_}) {
      g_unwind_table.store(table);
      for (ThreadRules* const rules : {static_cast<ThreadRules*>(nullptr), &rules_}) {
        for (const char* state : {"empty", "filled"}) {
          EXPECT_EQ(RunOnce(max, rules), end) << state << (rules == nullptr);
          EXPECT_EQ(frames_, frames) << state << (rules == nullptr);
          PrefetchWalk(context_, rules_);
        }
      }
    }
    return end;
  }
  WalkEnd RunOnce(std::uint32_t max, ThreadRules* rules = nullptr) {
    std::vector<std::uint64_t> out(max + 1, 0x5a5a);
    const WalkResult result = Walk(context_, bounds_, out.data(), max, rules);
    EXPECT_LE(result.frames, max);
    EXPECT_EQ(out[max], 0x5a5au) << "wrote behind its room";
    out.resize(result.frames);
    frames_.assign(out.begin(), out.end());
    return result.end;
  }

  alignas(16) std::uintptr_t stack_[kWords] = {};
  StackBounds bounds_;
  ucontext_t context_ = {};
  std::vector<std::uint64_t> frames_;
  RuleCache cache_{};
  ThreadRules rules_;

 private:
  static constexpr std::uint32_t kPages = (kCodeEnd - kCode) >> kUnwindPageShift;
  std::uint32_t pages_[kPages + 1] = {};
  UnwindModule module_;
  UnwindTable table_;
  UnwindTable plain_table_;
  const UnwindTable* previous_;
};

using Pcs = std::vector<std::uint64_t>;

}  // namespace pprof::handler
