// The walk with remembered rules: the same answers, and never those of another place.
#include <gtest/gtest.h>

#include <memory>

#include "src/pprof/handler/walk_test_tables.h"

namespace pprof::handler {
namespace {

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

// A module goes, another comes to its place.
TEST_F(WalkTest, UsesNoRuleThatTheThreadRemembersOfAModuleThatIsGone) {
  stack_[41] = kFpPc + 8;
  stack_[60] = 0;
  stack_[61] = kStartPc + 5;
  Start(kSpPc, Address(40), Address(60));
  ASSERT_EQ(RunOnce(64, &rules_), WalkEnd::kComplete);
  ASSERT_EQ(frames_, (Pcs{kSpPc, kFpPc + 7, kStartPc + 4}));
  const UnwindRow rows[] = {{0x100, PackSpecial(kStop)}, {0x200, PackRule(kSp, 3, kFpSame)}};
  const std::uint32_t pages[] = {0, 2};
  const UnwindModule module = {kCode, kCode + 0x400, kCode, rows, pages, 2, 1};
  const UnwindTable table = {&module, 1, nullptr, 77};
  g_unwind_table.store(&table);
  stack_[42] = kStartPc + 9;
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ(RunOnce(64, &rules_), WalkEnd::kComplete);
    EXPECT_EQ(frames_, (Pcs{kSpPc, kStartPc + 8})) << "the interrupted code's rule is the new one";
  }
  stack_[42] = kFpPc + 8;
  stack_[45] = kStartPc + 9;
  ASSERT_EQ(RunOnce(64, &rules_), WalkEnd::kComplete);
  EXPECT_EQ(frames_, (Pcs{kSpPc, kFpPc + 7, kStartPc + 8})) << "and so is the caller's";
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

}  // namespace
}  // namespace pprof::handler
