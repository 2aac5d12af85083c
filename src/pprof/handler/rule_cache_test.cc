#include "src/pprof/handler/rule_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

namespace pprof::handler {
namespace {

constexpr std::uint64_t kBase = 0x7f1234567000;

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}
  std::uint32_t Below(std::uint32_t limit) { return static_cast<std::uint32_t>(engine_()) % limit; }

 private:
  std::mt19937 engine_;
};

bool FindAt(const RuleCache& cache, std::uint32_t module, std::uint32_t offset,
            std::uint32_t* rule) {
  CachedRule found;
  if (!cache.Find(kBase + offset, &found)) return false;
  if (found.module != module || found.offset != offset) return false;
  *rule = found.rule;
  return true;
}

class RuleCacheTest : public testing::Test {
 protected:
  std::unique_ptr<RuleCache> cache_ = std::make_unique<RuleCache>();  // value-initialised: empty
  std::uint32_t rule_ = 0;
};

TEST_F(RuleCacheTest, IsEmptyAtFirst) {
  CachedRule found;
  for (std::uint64_t pc = 0; pc < 4096; ++pc) ASSERT_FALSE(cache_->Find(pc, &found));
}

TEST_F(RuleCacheTest, GivesBackTheOutermostValues) {
  for (const std::uint32_t module : {0u, 1u, 4094u}) {
    for (const std::uint32_t offset : {0u, 0xfffu, 0x1000u, 0xffffffffu}) {
      for (const std::uint32_t rule : {0u, 1u, 0xffffffffu}) {
        cache_->Remember({module, offset, rule});
        rule_ = ~rule;
        ASSERT_TRUE(FindAt(*cache_, module, offset, &rule_)) << module << " " << offset;
        EXPECT_EQ(rule_, rule);
      }
    }
  }
}

TEST_F(RuleCacheTest, DoesNotRememberModulesBeyondItsRange) {
  for (const std::uint32_t module : {4095u, 4096u, 0xffffffffu}) {
    cache_->Remember({module, 5, 6});
    CachedRule found;
    EXPECT_FALSE(cache_->Find(kBase + 5, &found)) << module;
  }
}

TEST_F(RuleCacheTest, AnswersOnlyForTheVeryPlace) {
  Random random(1);
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> rules;
  std::uint32_t hits = 0;
  for (int i = 0; i < 200000; ++i) {
    const std::uint32_t module = random.Below(4095);
    // Few places, that often share a slot.
    const std::uint32_t offset = random.Below(3) << 30 | random.Below(4) << 12 | random.Below(64);
    const std::uint32_t module_or_near = random.Below(2) == 0 ? module : module ^ 1;
    if (FindAt(*cache_, module_or_near, offset, &rule_)) {
      const auto known = rules.find({module_or_near, offset});
      ASSERT_NE(known, rules.end()) << "never remembered";
      ASSERT_EQ(rule_, known->second);
      ++hits;
    }
    const std::uint32_t rule = random.Below(1u << 31);
    cache_->Remember({module, offset, rule});
    rules[{module, offset}] = rule;
    ASSERT_TRUE(FindAt(*cache_, module, offset, &rule_));
    ASSERT_EQ(rule_, rule);
  }
  EXPECT_GT(hits, 0u);
}

// Handlers of several threads: an entry is never a mixture of two.
TEST_F(RuleCacheTest, EntriesAreWholeUnderContention) {
  const auto rule_of = [](std::uint32_t module, std::uint32_t offset) {
    return (module * 0x9e3779b9u) ^ (offset * 0x85ebca6bu);
  };
  std::atomic<std::uint64_t> hits{0};
  std::atomic<std::uint64_t> wrong{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Random random(t);
      for (int i = 0; i < 200000; ++i) {
        const std::uint32_t module = random.Below(8);
        const std::uint32_t offset = random.Below(4) << 12 | random.Below(4);
        cache_->Remember({module, offset, rule_of(module, offset)});
        CachedRule found;
        if (!cache_->Find(kBase + random.Below(4), &found)) continue;
        ++hits;
        if (found.rule != rule_of(found.module, found.offset)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0u);
  EXPECT_GT(hits.load(), 0u);
}

}  // namespace
}  // namespace pprof::handler
