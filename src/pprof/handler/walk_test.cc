// The walk over hand-made tables and stacks: what each rule means, and that no stack content
// makes it read where it may not. Real programs: unwind/stack_walk_test.cc.
#include "src/pprof/handler/walk.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/pprof/handler/unwind_table.h"
#include "src/pprof/handler/walk_x86_64.h"

namespace pprof::handler {
namespace {

constexpr std::uintptr_t kCode = 0x10000;  // never executed, never read
constexpr std::uintptr_t kStartPc = kCode + 0x100;
constexpr std::uintptr_t kSpPc = kCode + 0x200;
constexpr std::uintptr_t kFpPc = kCode + 0x300;
constexpr std::uintptr_t kDerefPc = kCode + 0x400;
constexpr std::uintptr_t kSignalPc = kCode + 0x500;
constexpr std::uintptr_t kPltPc = kCode + 0x600;
constexpr std::uintptr_t kRegisterPc = kCode + 0x700;
constexpr std::uintptr_t kBadPc = kCode + 0x800;
constexpr std::uintptr_t kStackDerefPc = kCode + 0x900;
constexpr std::uintptr_t kNoRowPc = kCode + 0xa00;
constexpr std::uintptr_t kSameFpPc = kCode + 0xb00;
constexpr std::uintptr_t kHugePc = kCode + 0xc00;
constexpr std::uintptr_t kFpAtFpPc = kCode + 0xd00;
constexpr std::uintptr_t kBasePc = kCode + 0xe00;
constexpr std::uintptr_t kSavesBasePc = kCode + 0xf00;
constexpr std::uintptr_t kFpDeref8Pc = kCode + 0x1100;
constexpr std::uintptr_t kIndexPc = kCode + 0x1200;
constexpr std::uintptr_t kCodeEnd = kCode + 0x10000;
constexpr std::uint32_t kR10 = 10;

// Each rule holds for 0x100 bytes.
const UnwindRow kRows[] = {
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
const UnwindRow kBaseRows[] = {
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
    table_ = {&module_, 1, &cache_};
    plain_table_ = {&module_, 1};
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
  // The walk must be the same without a cache of rules, with an empty one, and with one that holds
  // the rules of all callers.
  WalkEnd Run(std::uint32_t max = 64) {
    g_unwind_table.store(&plain_table_);
    const WalkEnd end = RunOnce(max);
    const std::vector<std::uint64_t> frames = frames_;
    g_unwind_table.store(&table_);
    for (const char* cache : {"empty", "filled"}) {
      EXPECT_EQ(RunOnce(max), end) << cache;
      EXPECT_EQ(frames_, frames) << cache;
      PrefetchWalk(context_, frames.data(), static_cast<std::uint32_t>(frames.size()));
    }
    return end;
  }
  WalkEnd RunOnce(std::uint32_t max) {
    std::vector<std::uint64_t> out(max + 1, 0x5a5a);
    const WalkResult result = Walk(context_, bounds_, out.data(), max);
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

 private:
  static constexpr std::uint32_t kPages = (kCodeEnd - kCode) >> kUnwindPageShift;
  std::uint32_t pages_[kPages + 1] = {};
  UnwindModule module_;
  UnwindTable table_;
  UnwindTable plain_table_;
  const UnwindTable* previous_;
};

using Pcs = std::vector<std::uint64_t>;

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

TEST_F(WalkTest, RemembersTheRulesOfCallersAlone) {
  stack_[41] = kFpPc + 8;
  stack_[60] = 0;
  stack_[61] = kStartPc + 5;
  Start(kSpPc, Address(40), Address(60));
  ASSERT_EQ(Run(), WalkEnd::kComplete);
  CachedRule found;
  EXPECT_FALSE(cache_.Find(kSpPc, &found));
  ASSERT_TRUE(cache_.Find(kFpPc + 7, &found));
  EXPECT_EQ(found.offset, kFpPc + 7 - kCode);
  EXPECT_EQ(found.rule, PackRule(kFp, 2, -2));
  EXPECT_TRUE(cache_.Find(kStartPc + 4, &found));
}

TEST_F(WalkTest, UsesTheRememberedRule) {
  cache_.Remember({0, kFpPc + 7 - kCode, PackSpecial(kBad)});
  stack_[41] = kFpPc + 8;
  stack_[60] = 0;
  stack_[61] = kStartPc + 5;
  Start(kSpPc, Address(40), Address(60));
  EXPECT_EQ(RunOnce(64), WalkEnd::kBadRow);
}

TEST_F(WalkTest, UsesNoRuleOfAnotherPlaceInTheSameSlot) {
  cache_.Remember({0, 0x1000 + kFpPc + 7 - kCode, PackSpecial(kBad)});
  stack_[41] = kFpPc + 8;
  stack_[60] = 0;
  stack_[61] = kStartPc + 5;
  Start(kSpPc, Address(40), Address(60));
  EXPECT_EQ(Run(), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kSpPc, kFpPc + 7, kStartPc + 4}));
}

TEST(Walk, UsesNoRuleOfAnotherModuleInTheSameSlot) {
  // Two modules whose code agrees in the low bits, with different rules.
  const UnwindRow sp_rows[] = {{0, PackRule(kSp, 1, kFpSame)}};
  const UnwindRow end_rows[] = {{0, PackSpecial(kStop)}};
  const std::uint32_t pages[] = {0, 1};
  const UnwindModule modules[] = {
      {kCode, kCode + 0x400, kCode, sp_rows, pages, 1, 1},
      {kCode + 0x1000, kCode + 0x1400, kCode + 0x1000, end_rows, pages, 1, 1}};
  RuleCache cache{};
  const UnwindTable table = {modules, 2, &cache};
  const UnwindTable* const previous = g_unwind_table.exchange(&table);
  std::uintptr_t stack[8] = {kCode + 0x41, kCode + 0x41, kCode + 0x1041};
  ucontext_t context = {};
  context.uc_mcontext.gregs[REG_RIP] = kCode + 1;
  context.uc_mcontext.gregs[REG_RSP] = reinterpret_cast<greg_t>(stack);
  const auto low = reinterpret_cast<std::uintptr_t>(stack);
  for (int round = 0; round < 2; ++round) {
    std::uint64_t out[8];
    const WalkResult result = Walk(context, {low - 128, low + sizeof stack}, out, 8);
    EXPECT_EQ(result.end, WalkEnd::kComplete);
    ASSERT_EQ(result.frames, 4u);
    EXPECT_EQ(out[3], kCode + 0x1040);
  }
  g_unwind_table.store(previous);
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
  PrefetchWalk(context_, nullptr, 0);
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
