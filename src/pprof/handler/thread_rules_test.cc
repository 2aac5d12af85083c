#include "src/pprof/handler/thread_rules.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <random>

namespace pprof::handler {
namespace {

class ThreadRulesTest : public testing::Test {
 protected:
  void Use(std::uint64_t generation) {
    table_.generation = generation;
    rules_->Begin(table_);
  }

  UnwindTable table_{nullptr, 0};
  std::unique_ptr<ThreadRules> rules_ = std::make_unique<ThreadRules>();  // zero-filled: empty
};

TEST_F(ThreadRulesTest, KnowNothingAtFirst) {
  Use(1);
  for (std::uint64_t pc = 0; pc < 4096; ++pc) ASSERT_EQ(rules_->Find(pc), 0u);
  EXPECT_EQ(rules_->Find(~std::uint64_t{0}), 0u);
  EXPECT_EQ(rules_->module.limit, 0u);
}

TEST_F(ThreadRulesTest, AnswerOnlyForTheVeryPlace) {
  Use(1);
  std::mt19937_64 random(1);
  std::map<std::uint64_t, std::uint32_t> known;
  std::uint32_t hits = 0;
  for (std::uint32_t i = 1; i < 200000; ++i) {
    const std::uint64_t pc = random() % 512 << 32 | random() % 8;
    if (const std::uint32_t rule = rules_->Find(pc); rule != 0) {
      ASSERT_EQ(known.count(pc), 1u) << "never remembered";
      ASSERT_EQ(rule, known[pc]);
      ++hits;
    } else {
      rules_->Remember(pc, i);
      known[pc] = i;
      ASSERT_EQ(rules_->Find(pc), i);
    }
  }
  EXPECT_GT(hits, 0u);
}

TEST_F(ThreadRulesTest, HoldAStackOfAHundredFrames) {
  Use(1);
  const auto pc_of = [](std::uint64_t i) { return 0x7f1234567000 + i * 2143; };
  for (std::uint32_t i = 0; i < 100; ++i) rules_->Remember(pc_of(i), i + 1);
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < 100; ++i) kept += rules_->Find(pc_of(i)) == i + 1;
  EXPECT_GT(kept, 90u);
}

TEST_F(ThreadRulesTest, ForgetEverythingWithTheirTable) {
  for (std::uint64_t generation = 1; generation < 4; ++generation) {
    Use(generation);
    EXPECT_EQ(rules_->module.limit, 0u);
    for (std::uint64_t pc = 1; pc < 1000; ++pc) ASSERT_EQ(rules_->Find(pc), 0u);
    for (std::uint64_t pc = 1; pc < 1000; ++pc) rules_->Remember(pc, 7);
    rules_->module.limit = 5;
    Use(generation);
    EXPECT_EQ(rules_->Find(999), 7u);
    EXPECT_EQ(rules_->module.limit, 5u);
  }
}

}  // namespace
}  // namespace pprof::handler
