// Expects, when all tests of a program have run, that >= 99.9 % of the stacks which they sampled
// reach the thread's entry. A program asks for it with
//
//   const auto* const g_complete_stacks = testing::AddGlobalTestEnvironment(new CompleteStacks);
#pragma once

#include <gtest/gtest.h>
#include <pprof/stats.h>

#include <cstdio>

namespace test {

class CompleteStacks : public testing::Environment {
 public:
  void TearDown() override {
    const pprof::Stats stats = pprof::ReadStats();
    std::printf("%llu of %llu stacks reach the thread's entry\n",
                static_cast<unsigned long long>(stats.stacks_complete),
                static_cast<unsigned long long>(stats.deliveries));
    EXPECT_GT(stats.stacks_complete, 0u);
    EXPECT_GE(stats.stacks_complete * 1000, stats.deliveries * 999)
        << "no row " << stats.stacks_no_unwind_row << ", bad row " << stats.stacks_bad_unwind_row
        << ", unreadable " << stats.stacks_unreadable << ", not progressing "
        << stats.stacks_not_progressing << ", truncated " << stats.stacks_truncated << ", lost "
        << stats.samples_lost;
  }
};

}  // namespace test
