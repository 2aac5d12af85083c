// The walk over hand-made tables and stacks: what each rule means, and that no stack content
// makes it read where it may not. Real programs: unwind/stack_walk_test.cc.
#include "src/pprof/handler/walk.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/pprof/handler/unwind_table.h"
#include "src/pprof/handler/walk_test_tables.h"
#include "src/pprof/handler/walk_x86_64.h"

namespace pprof::handler {
namespace {

TEST_F(WalkTest, EndsCompleteAtTheEntry) {
  Start(kStartPc, Address(40));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, Pcs{kStartPc});
}

TEST_F(WalkTest, EndsCompleteAtReturnAddressZero) {
  Start(kSpPc, Address(40));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, Pcs{kSpPc});
}

TEST_F(WalkTest, LooksUpTheCallAndNotWhatFollowsIt) {
  // The call is the last instruction of its function: behind it other code begins.
  stack_[41] = kFpPc;  // return address: one behind kSpPc's function
  stack_[43] = kStartPc + 5;
  Start(kSpPc, Address(40));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kSpPc, kFpPc - 1, kStartPc + 4}));
}

TEST_F(WalkTest, LooksUpTheLeafAsItIs) {
  stack_[60] = 0;
  stack_[61] = kStartPc + 1;
  Start(kFpPc, Address(50), Address(60));  // first instruction of the row
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kFpPc, kStartPc}));
}

TEST_F(WalkTest, RestoresTheFramePointer) {
  stack_[41] = kFpPc + 8;    // called by a function with a frame pointer,
  stack_[60] = Address(80);  // whose caller has one too
  stack_[61] = kFpPc + 9;
  stack_[80] = 0;
  stack_[81] = kStartPc + 1;
  Start(kSpPc, Address(40), Address(60));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kSpPc, kFpPc + 7, kFpPc + 8, kStartPc}));
}

TEST_F(WalkTest, FollowsRealignedFrames) {
  stack_[60] = Address(90);  // *rbp: the caller's rbp
  stack_[59] = Address(72);  // *(rbp - 8): the CFA
  stack_[71] = kFpPc + 8;
  stack_[91] = kStartPc + 1;
  Start(kDerefPc, Address(50), Address(60));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kDerefPc, kFpPc + 7, kStartPc}));
}

TEST_F(WalkTest, FollowsASavedStackPointer) {
  stack_[41] = Address(70);
  stack_[70] = kStartPc + 1;
  Start(kStackDerefPc, Address(40));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kStackDerefPc, kStartPc}));
}

TEST_F(WalkTest, FollowsAStackPointerSavedInTheFrame) {
  stack_[58] = Address(70);
  stack_[70] = kStartPc + 1;
  Start(kFpDeref8Pc, Address(40), Address(60));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kFpDeref8Pc, kStartPc}));
}

TEST_F(WalkTest, FollowsAStackPointerSavedBehindAnArray) {
  stack_[40 + 9 + 1] = Address(70);
  stack_[69] = Address(90);  // the caller's rbp
  stack_[70] = kFpPc + 1;
  stack_[91] = kStartPc + 1;
  Start(kIndexPc, Address(40), Address(60));
  Register(REG_R10, 9);
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kIndexPc, kFpPc, kStartPc}));
  Register(REG_R10, std::uintptr_t{1} << 60);
  EXPECT_EQ(Run(), WalkEnd::kUnreadable);
  stack_[41] = kIndexPc + 1;  // in a caller the register is not known
  Start(kSpPc, Address(40));
  EXPECT_EQ(Run(), WalkEnd::kBadRow);
}

TEST_F(WalkTest, FollowsBothHalvesOfPltStubs) {
  stack_[40] = kStartPc + 1;
  stack_[41] = kFpPc + 1;
  Start(kPltPc + 10, Address(40));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kPltPc + 10, kStartPc}));
  stack_[40] = 7;  // the index that the stub pushed
  stack_[41] = kStartPc + 1;
  Start(kPltPc + 11, Address(40));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kPltPc + 11, kStartPc}));
}

TEST_F(WalkTest, UsesOtherRegistersInTheLeafOnly) {
  stack_[69] = kStartPc + 1;
  Start(kRegisterPc, Address(40));
  Register(REG_R10, Address(70));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kRegisterPc, kStartPc}));

  stack_[41] = kRegisterPc + 8;
  Start(kSpPc, Address(40));
  EXPECT_EQ(Run(), WalkEnd::kBadRow);
  EXPECT_EQ(frames_, (Pcs{kSpPc, kRegisterPc + 7}));
}

// Assembly that has its CFA in rbx calls a function that saves rbx, which calls one that does not.
TEST_F(WalkTest, FindsTheBaseRegisterThatCalleesSaved) {
  stack_[40] = kSavesBasePc + 8;  // called by
  stack_[42] = Address(70);       // that has saved rbx
  stack_[43] = kBasePc + 9;
  stack_[69] = kStartPc + 1;
  Start(kSameFpPc, Address(40));
  Register(REG_RBX, Address(80));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kSameFpPc, kSavesBasePc + 7, kBasePc + 8, kStartPc}));
  bounds_ = {};
  EXPECT_EQ(Run(), WalkEnd::kComplete);
}

TEST_F(WalkTest, FindsTheBaseRegisterAgainFurtherOut) {
  stack_[40] = kBasePc + 9;   // the register is in rbx,
  stack_[67] = Address(90);   // there it saved its caller's,
  stack_[69] = kBasePc + 17;  // which is of the same kind
  stack_[89] = kStartPc + 1;
  Start(kSameFpPc, Address(40));
  Register(REG_RBX, Address(70));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kSameFpPc, kBasePc + 8, kBasePc + 16, kStartPc}));
}

TEST_F(WalkTest, GivesUpWhereTheBaseRegisterIsNotKnown) {
  stack_[41] = kBasePc + 9;
  Start(kSpPc, Address(40));  // may have changed rbx: no row
  Register(REG_RBX, Address(70));
  stack_[69] = kStartPc + 1;
  EXPECT_EQ(Run(), WalkEnd::kBadRow);
  EXPECT_EQ(frames_, (Pcs{kSpPc, kBasePc + 8}));
}

TEST_F(WalkTest, GoesBackForTheBaseRegisterAFewTimesOnly) {
  stack_[40] = kBasePc + 9;
  for (std::size_t word = 40; word + 10 < kWords; word += 10) {
    stack_[word + 7] = Address(word + 20);
    stack_[word + 9] = kBasePc + 9;
  }
  Start(kSameFpPc, Address(40));
  Register(REG_RBX, Address(50));
  EXPECT_EQ(Run(), WalkEnd::kBadRow);
  EXPECT_LT(frames_.size(), 10u);
}

// A handler at word 40 that returns to the trampoline; the kernel's ucontext behind it.
class SignalFrameTest : public WalkTest {
 protected:
  void Interrupt(std::uintptr_t pc, std::uintptr_t sp, std::uintptr_t fp) {
    stack_[41] = kSignalPc;
    auto* saved = reinterpret_cast<ucontext_t*>(stack_ + 42);
    saved->uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(pc);
    saved->uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(sp);
    saved->uc_mcontext.gregs[REG_RBP] = static_cast<greg_t>(fp);
    saved->uc_mcontext.gregs[REG_R10] = static_cast<greg_t>(Address(400));
    Start(kSpPc, Address(40));
  }
};

TEST_F(SignalFrameTest, GoesOnWithTheInterruptedCodeLookedUpAsItIs) {
  stack_[301] = kStartPc + 1;
  Interrupt(kFpPc, Address(280), Address(300));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  // The trampoline was never called: its address is reported as it is, too.
  EXPECT_EQ(frames_, (Pcs{kSpPc, kSignalPc, kFpPc, kStartPc}));
}

TEST_F(SignalFrameTest, KnowsAllRegistersOfTheInterruptedCode) {
  stack_[399] = kStartPc + 1;
  Interrupt(kRegisterPc, Address(280), 0);
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kSpPc, kSignalPc, kRegisterPc, kStartPc}));
}

TEST_F(SignalFrameTest, LeavesAnAlternateStackDownwardsOnce) {
  stack_[11] = kStartPc + 1;
  Interrupt(kSpPc, Address(10), 0);
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kSpPc, kSignalPc, kSpPc, kStartPc}));
}

TEST_F(SignalFrameTest, DoesNotRunInCircles) {
  Interrupt(kSpPc, Address(40), 0);  // the interrupted code is the handler itself
  EXPECT_EQ(Run(1000), WalkEnd::kNotProgressing);
}

// A stack overflow is handled on an alternate stack: the interrupted stack pointer lies in the
// known stack, where nothing is mapped.
TEST(WalkOverflow, ReadsNoGuardPageBehindAnAlternateStack) {
  constexpr std::size_t kPage = 4096;
  auto* memory = static_cast<char*>(
      mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  ASSERT_EQ(mprotect(memory, kPage, PROT_NONE), 0);
  const UnwindRow rows[] = {{0, PackRule(kSp, 1, kFpSame)}, {0x40, PackSpecial(kSignal)}};
  const std::uint32_t pages[] = {0, 2};
  const UnwindModule module = {kCode, kCodeEnd, kCode, rows, pages, 2, 1};
  const UnwindTable table = {&module, 1};
  const UnwindTable* const previous = g_unwind_table.exchange(&table);

  const auto top = reinterpret_cast<std::uintptr_t>(memory) + 2 * kPage;
  auto* interrupted = reinterpret_cast<ucontext_t*>(memory + kPage + 512);
  interrupted->uc_mcontext.gregs[REG_RIP] = kCode + 1;
  interrupted->uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(top - 2 * kPage + 1024);
  ucontext_t context = {};
  context.uc_mcontext.gregs[REG_RIP] = kCode + 0x41;
  context.uc_mcontext.gregs[REG_RSP] = reinterpret_cast<greg_t>(interrupted);
  std::uint64_t out[8];
  const WalkResult result = Walk(context, {top - 2 * kPage, top}, out, 8);
  EXPECT_EQ(result.end, WalkEnd::kUnreadable);
  EXPECT_EQ(result.frames, 2u);
  g_unwind_table.store(previous);
  munmap(memory, 2 * kPage);
}

TEST_F(WalkTest, StopsAtRulesItDoesNotEvaluate) {
  Start(kBadPc, Address(40));
  EXPECT_EQ(Run(), WalkEnd::kBadRow);
}

TEST_F(WalkTest, StopsWhereTheCallerWouldNotLieAbove) {
  Start(kHugePc, Address(40));
  EXPECT_EQ(Run(), WalkEnd::kNotProgressing);
  Start(kFpPc, Address(40), Address(20));  // frame pointer below the stack pointer
  EXPECT_EQ(Run(), WalkEnd::kNotProgressing);
  Start(kFpPc, Address(40), Address(38));  // the caller's frame would begin where this one does
  EXPECT_EQ(Run(), WalkEnd::kNotProgressing);
  Start(kFpPc, Address(40), Address(60) + 4);  // not aligned
  EXPECT_EQ(Run(), WalkEnd::kNotProgressing);
}

TEST_F(WalkTest, ReadsNothingOutsideTheStack) {
  for (const std::uintptr_t fp : {std::uintptr_t{1} << 63, ~std::uintptr_t{7}, Address(kWords)}) {
    Start(kFpPc, Address(40), fp - 8);
    const WalkEnd end = Run();
    EXPECT_TRUE(end == WalkEnd::kUnreadable || end == WalkEnd::kNotProgressing ||
                fp == Address(kWords))
        << fp;
    Start(kDerefPc, Address(40), fp);
    Run();
    Start(kFpAtFpPc, Address(40), fp);
    Run();
  }
}

TEST_F(WalkTest, KeepsTheLeafmostFramesOfADeepStack) {
  for (std::size_t word = 40; word < kWords - 1; ++word) stack_[word] = kSameFpPc + 1 + word % 128;
  stack_[kWords - 1] = kStartPc + 1;
  Start(kSameFpPc, Address(40));
  EXPECT_EQ(Run(10), WalkEnd::kTruncated);
  EXPECT_EQ(frames_.size(), 10u);
  EXPECT_EQ(frames_[1], kSameFpPc + 40);
  EXPECT_EQ(Run(kWords), WalkEnd::kComplete);
  EXPECT_EQ(frames_.size(), kWords - 40 + 1);
  const auto all = static_cast<std::uint32_t>(frames_.size());
  EXPECT_EQ(Run(all), WalkEnd::kComplete) << "exactly as many as there is room for";
  EXPECT_EQ(Run(all - 1), WalkEnd::kTruncated);
  EXPECT_EQ(Run(0), WalkEnd::kTruncated);
}

TEST_F(WalkTest, FollowsTheFramePointerWhereThereIsNoRow) {
  stack_[61] = kFpPc + 8;
  stack_[60] = Address(80);
  stack_[81] = kStartPc + 1;
  Start(kNoRowPc, Address(50), Address(60));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kNoRowPc, kFpPc + 7, kStartPc}));
  Start(0x7f0000001000, Address(50), Address(60));  // code of no module
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{0x7f0000001000, kFpPc + 7, kStartPc}));
}

// As makecontext sets it up: the first function of the stack returns to one that did not call it.
TEST_F(WalkTest, EndsCompleteWhereAFunctionIsReturnedToAtItsFirstInstruction) {
  stack_[41] = kSameFpPc;
  stack_[61] = kFpPc + 8;  // a frame pointer of the stack that the context was made on
  Start(kSpPc, Address(40), Address(60));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kSpPc, kSameFpPc}));
}

TEST_F(WalkTest, DoesNotBelieveAFramePointerThatLeadsOutOfTheCode) {
  stack_[61] = 0x7f0000001000;
  Start(kNoRowPc, Address(50), Address(60));
  EXPECT_EQ(Run(), WalkEnd::kNoRow);
  stack_[61] = kFpPc + 8;
  Start(kNoRowPc, Address(70), Address(60));
  EXPECT_EQ(Run(), WalkEnd::kNoRow);
  Start(kNoRowPc, Address(50), Address(60) + 1);
  EXPECT_EQ(Run(), WalkEnd::kNoRow);
}

TEST_F(WalkTest, NamesTheCallerOfANullPointer) {
  stack_[40] = kStartPc + 1;
  Start(0, Address(40));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{0, kStartPc}));
}

TEST_F(WalkTest, WorksWithoutTables) {
  g_unwind_table.store(nullptr);
  Start(kSpPc, Address(40), Address(60));
  PrefetchWalk(context_, rules_);
  EXPECT_EQ(RunOnce(64), WalkEnd::kNoRow);
  EXPECT_EQ(frames_, Pcs{kSpPc});
}

TEST_F(WalkTest, ProbesStacksThatAreNotKnown) {
  bounds_ = {};
  stack_[41] = kFpPc + 8;
  stack_[61] = kStartPc + 1;
  Start(kSpPc, Address(40), Address(60));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kSpPc, kFpPc + 7, kStartPc}));
}

TEST(Walk, StopsAtUnmappedMemoryOfAStackThatIsNotKnown) {
  constexpr std::size_t kPage = 4096;
  auto* memory = static_cast<char*>(
      mmap(nullptr, 3 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  munmap(memory, kPage);
  mprotect(memory + 2 * kPage, kPage, PROT_NONE);
  const UnwindRow rows[] = {{0, PackRule(kSp, 1, kFpSame)}};
  const std::uint32_t pages[] = {0, 1};
  const UnwindModule module = {kCode, kCodeEnd, kCode, rows, pages, 1, 1};
  const UnwindTable table = {&module, 1};
  const UnwindTable* const previous = g_unwind_table.exchange(&table);
  auto* words = reinterpret_cast<std::uintptr_t*>(memory + 2 * kPage);
  for (int i = 1; i <= 4; ++i) words[-i] = kCode + 0x40;
  ucontext_t context = {};
  context.uc_mcontext.gregs[REG_RIP] = kCode + 1;
  std::uint64_t out[64];

  context.uc_mcontext.gregs[REG_RSP] = reinterpret_cast<greg_t>(words - 4);
  WalkResult result = Walk(context, {}, out, 64);
  EXPECT_EQ(result.end, WalkEnd::kUnreadable);
  EXPECT_EQ(result.frames, 5u);
  for (const std::ptrdiff_t offset : {std::ptrdiff_t{-4096}, std::ptrdiff_t{4096}}) {
    context.uc_mcontext.gregs[REG_RSP] = reinterpret_cast<greg_t>(memory + kPage + offset);
    result = Walk(context, {}, out, 64);
    EXPECT_EQ(result.end, WalkEnd::kUnreadable);
    EXPECT_EQ(result.frames, 1u);
  }
  g_unwind_table.store(previous);
  munmap(memory + kPage, 2 * kPage);
}

}  // namespace
}  // namespace pprof::handler
