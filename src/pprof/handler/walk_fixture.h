// A stack and hand-made unwind tables for tests of the walk, whatever the architecture.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/pprof/handler/rule_cache.h"
#include "src/pprof/handler/unwind_table.h"
#include "src/pprof/handler/walk.h"

namespace pprof::handler {

using Pcs = std::vector<std::uint64_t>;

inline constexpr std::uintptr_t kCode = 0x10000;  // never executed, never read
inline constexpr std::uintptr_t kCodeEnd = kCode + 0x10000;

class WalkFixture : public testing::Test {
 protected:
  static constexpr std::size_t kWords = 512;

  template <std::size_t kRowCount>
  explicit WalkFixture(const UnwindRow (&rows)[kRowCount], const UnwindRow* base_rows = nullptr,
                       std::uint32_t base_row_count = 0) {
    for (std::uint32_t page = 0; page <= kPages; ++page) {
      while (pages_[page] < kRowCount && rows[pages_[page]].pc >> kUnwindPageShift < page) {
        ++pages_[page];
      }
    }
    module_ = {kCode, kCodeEnd, kCode, rows, pages_, kRowCount, kPages, base_rows, base_row_count};
    table_ = {&module_, 1, &cache_, 2};
    plain_table_ = {&module_, 1, nullptr, 1};
    previous_ = g_unwind_table.exchange(&table_);
    bounds_ = {Address(0), Address(kWords)};
  }
  ~WalkFixture() override { g_unwind_table.store(previous_); }

  std::uintptr_t Address(std::size_t word) const {
    return reinterpret_cast<std::uintptr_t>(stack_ + word);
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

}  // namespace pprof::handler
