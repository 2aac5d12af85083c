// The walk over hand-made tables and stacks of aarch64: what each rule means, and that no stack
// content makes it read where it may not. Real programs: unwind/stack_walk_test.cc.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/pprof/handler/rule_cache.h"
#include "src/pprof/handler/unwind_table.h"
#include "src/pprof/handler/walk.h"
#include "src/pprof/handler/walk_aarch64.h"
#include "src/pprof/handler/walk_fixture.h"

namespace pprof::handler {
namespace {

constexpr std::uintptr_t kEntryPc = kCode + 0x100;
constexpr std::uintptr_t kLeafPc = kCode + 0x200;
constexpr std::uintptr_t kSmallPc = kCode + 0x300;
constexpr std::uintptr_t kLargePc = kCode + 0x400;
constexpr std::uintptr_t kFpPc = kCode + 0x500;
constexpr std::uintptr_t kFpAbovePc = kCode + 0x600;
constexpr std::uintptr_t kSignalPc = kCode + 0x700;
constexpr std::uintptr_t kBadPc = kCode + 0x800;
constexpr std::uintptr_t kNoRowPc = kCode + 0x900;
constexpr std::uintptr_t kNoFpPc = kCode + 0xa00;
constexpr std::uintptr_t kEmptyPc = kCode + 0xb00;

// Each rule holds for 0x100 bytes.
constexpr UnwindRow kRows[] = {
    {0x100, PackSpecial(kStop)},
    {0x200, PackRule(kSpBelowCfa, 0, kInPlace, kInPlace)},
    {0x300, PackRule(kSpBelowCfa, 2, 3, 4)},  // stp x29, x30, [sp, -32]!
    {0x400, PackRule(kSpAboveSp, 8, 4, 3)},   // 128 bytes; the record 16 above sp
    {0x500, PackRule(kFpBelowCfa, 1, 1, 2)},  // clang's frames
    {0x600, PackRule(kFpAboveFp, 4, 2, 1)},   // gcc's with alloca
    {0x6ff, PackSpecial(kSignal)},
    {0x800, PackSpecial(kBad)},
    {0x900, PackSpecial(kEnd)},
    {0xa00, PackRule(kSpBelowCfa, 1, 2, kInPlace)},  // saves x30 alone
    {0xb00, PackRule(kSpBelowCfa, 0, 1, kInPlace)},  // claims to have saved x30 nowhere
    {0xc00, PackSpecial(kEnd)},
};

class WalkTest : public WalkFixture {
 protected:
  WalkTest() : WalkFixture(kRows) {}

  void Start(std::uintptr_t pc, std::uintptr_t sp, std::uintptr_t fp = 0, std::uintptr_t lr = 0) {
    context_.uc_mcontext.pc = pc;
    context_.uc_mcontext.sp = sp;
    context_.uc_mcontext.regs[29] = fp;
    context_.uc_mcontext.regs[30] = lr;
  }
  // A frame record.
  void Record(std::size_t word, std::uintptr_t fp, std::uintptr_t return_address) {
    stack_[word] = fp;
    stack_[word + 1] = return_address;
  }
};

TEST_F(WalkTest, EndsCompleteAtTheEntry) {
  Start(kEntryPc, Address(40), 0, kSmallPc);
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, Pcs{kEntryPc});
}

TEST_F(WalkTest, EndsCompleteAtReturnAddressZero) {
  Start(kLeafPc, Address(40));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, Pcs{kLeafPc});
}

TEST_F(WalkTest, FindsTheCallerOfALeafInX30) {
  Record(40, 0, kEntryPc + 4);
  Start(kLeafPc + 8, Address(40), Address(40), kSmallPc + 8);
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kLeafPc + 8, kSmallPc + 7, kEntryPc + 3}));
}

TEST_F(WalkTest, BelievesX30OnlyInWhatWasInterrupted) {
  Record(40, 0, kLeafPc + 4);
  Start(kSmallPc + 8, Address(40), 0, kSmallPc + 4);
  EXPECT_EQ(Run(), WalkEnd::kBadRow);
  EXPECT_EQ(frames_, (Pcs{kSmallPc + 8, kLeafPc + 3}));
}

TEST_F(WalkTest, LooksUpTheCallAndNotWhatFollowsIt) {
  Record(40, 0, kLargePc);  // the call is the last instruction of kSmallPc's function
  Record(44, 0, kEntryPc + 4);
  Start(kSmallPc, Address(40));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kSmallPc, kLargePc - 1, kEntryPc + 3}));
}

TEST_F(WalkTest, ReadsSlotsFromBothEndsOfAFrame) {
  Record(40 + 2, Address(80), kFpPc + 4);  // kLargePc: 16 above sp
  Record(80, Address(90), kFpAbovePc + 4);
  Record(90, 0, kEntryPc + 4);
  Start(kLargePc, Address(40), Address(10));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kLargePc, kFpPc + 3, kFpAbovePc + 3, kEntryPc + 3}));
}

TEST_F(WalkTest, KeepsX29WhereAFunctionDoesNotSaveIt) {
  stack_[40] = kFpPc + 4;  // at CFA - 16
  Record(60, 0, kEntryPc + 4);
  Start(kNoFpPc, Address(40), Address(60));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kNoFpPc, kFpPc + 3, kEntryPc + 3}));
}

// Signed as the compiler's prologues do it; a processor without pointer authentication leaves the
// address as it is, and then this shows nothing.
std::uintptr_t Signed(std::uintptr_t address, std::uintptr_t modifier) {
  register std::uintptr_t x17 asm("x17") = address;
  register std::uintptr_t x16 asm("x16") = modifier;
  asm("hint #8" : "+r"(x17) : "r"(x16));  // pacia1716
  return x17;
}

TEST_F(WalkTest, TakesSignaturesOutOfReturnAddresses) {
  const std::uintptr_t saved = Signed(kLargePc + 4, Address(44));
  const std::uintptr_t in_register = Signed(kSmallPc + 8, Address(40));
  std::printf("  %llx signed is %llx\n", static_cast<unsigned long long>(kLargePc + 4),
              static_cast<unsigned long long>(saved));
  Record(40, 0, saved);
  Record(46, 0, kEntryPc + 4);
  Start(kLeafPc + 8, Address(40), 0, in_register);
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kLeafPc + 8, kSmallPc + 7, kLargePc + 3, kEntryPc + 3}));
}

TEST_F(WalkTest, FollowsTheKernelsSignalFrame) {
  std::vector<std::uintptr_t> large(2048);
  const auto frame = reinterpret_cast<std::uintptr_t>(large.data() + 64) & ~std::uintptr_t{15};
  auto* const context = reinterpret_cast<ucontext_t*>(frame + sizeof(siginfo_t));
  context->uc_mcontext.pc = kLeafPc;
  context->uc_mcontext.sp =
      reinterpret_cast<std::uintptr_t>(large.data() + 1500) & ~std::uintptr_t{15};
  context->uc_mcontext.regs[30] = kEntryPc + 4;
  const auto low = reinterpret_cast<std::uintptr_t>(large.data());
  bounds_ = {low, low + large.size() * 8};
  Start(kLeafPc, frame, 0, kSignalPc);
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kLeafPc, kSignalPc, kLeafPc, kEntryPc + 3})) << "the trampoline as it is";
  context->uc_mcontext.sp = low + 16;  // below: an alternate stack is left once
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  context->uc_mcontext.pc = kSignalPc;
  context->uc_mcontext.sp = frame;
  EXPECT_EQ(Run(), WalkEnd::kNotProgressing) << "for ever";
}

TEST_F(WalkTest, StepsOutOfStubsWithoutRowsByX30) {
  Record(40, Address(44), kFpPc + 4);
  Record(44, 0, kEntryPc + 4);
  Start(kNoRowPc, Address(40), Address(44), kSmallPc + 4);
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kNoRowPc, kSmallPc + 3, kFpPc + 3, kEntryPc + 3}));
}

TEST_F(WalkTest, StepsOverCodeWithoutRowsByItsFrameRecord) {
  // It has called something: x30 points into it. Its caller's sp is not known, but its record is.
  Record(60, Address(80), kSmallPc + 4);
  Record(80, 0, kNoFpPc + 4);
  stack_[84] = kEntryPc + 4;
  Start(kNoRowPc, Address(40), Address(60), kNoRowPc + 4);
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kNoRowPc, kSmallPc + 3, kNoFpPc + 3, kEntryPc + 3}));
  stack_[61] = kNoFpPc + 4;  // a caller that has no record: where its frame ends cannot be known
  EXPECT_EQ(Run(), WalkEnd::kNoRow);
  stack_[61] = 0x1234;  // no code
  EXPECT_EQ(Run(), WalkEnd::kNoRow);
  EXPECT_EQ(frames_, Pcs{kNoRowPc});
}

TEST_F(WalkTest, EndsAtRulesThatItDoesNotEvaluate) {
  Start(kBadPc, Address(40), 0, kEntryPc + 4);
  EXPECT_EQ(Run(), WalkEnd::kBadRow);
}

TEST_F(WalkTest, NeverGoesDownOrStays) {
  Start(kEmptyPc, Address(40), 0, kEntryPc + 4);
  EXPECT_EQ(Run(), WalkEnd::kNotProgressing);
  Start(kFpPc, Address(40), Address(20));
  EXPECT_EQ(Run(), WalkEnd::kNotProgressing);
}

TEST_F(WalkTest, StopsAtItsRoom) {
  Record(40, 0, kSmallPc + 4);
  Record(44, 0, kSmallPc + 4);
  Start(kSmallPc, Address(40));
  EXPECT_EQ(Run(2), WalkEnd::kTruncated);
  EXPECT_EQ(frames_.size(), 2u);
}

TEST_F(WalkTest, ReadsNothingBehindAStackThatIsNotKnown) {
  const std::size_t page = 65536;
  auto* const memory = static_cast<char*>(
      mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  ASSERT_EQ(mprotect(memory + page, page, PROT_NONE), 0);
  const auto end = reinterpret_cast<std::uintptr_t>(memory + page);
  bounds_ = {};
  for (const std::uintptr_t below : {16, 32, 48, 64}) {
    for (const std::uintptr_t pc : {kSmallPc, kLargePc, kFpPc, kFpAbovePc, kSignalPc, kNoRowPc}) {
      Start(pc, end - below, end - below, kLeafPc);
      EXPECT_NE(Run(), WalkEnd::kTruncated) << std::hex << pc;
    }
  }
  Start(kLargePc, end - 16);
  EXPECT_EQ(Run(), WalkEnd::kUnreadable);
  Start(kSignalPc, end - 64);
  EXPECT_EQ(Run(), WalkEnd::kUnreadable);
  munmap(memory, 2 * page);
}

TEST_F(WalkTest, RemembersTheRulesOfCallersAlone) {
  Record(40, 0, kEntryPc + 4);
  Start(kSmallPc, Address(40));
  ASSERT_EQ(Run(), WalkEnd::kComplete);
  CachedRule found;
  EXPECT_FALSE(cache_.Find(kSmallPc, &found));
  ASSERT_TRUE(cache_.Find(kEntryPc + 3, &found));
  EXPECT_EQ(found.rule, PackSpecial(kStop));
  cache_.Remember({0, kEntryPc + 3 - kCode, PackSpecial(kBad)});
  EXPECT_EQ(RunOnce(64), WalkEnd::kBadRow) << "the remembered rule is used";
}

}  // namespace
}  // namespace pprof::handler
