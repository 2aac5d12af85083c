#include "src/pprof/sampler/operation_books.h"

#include <gtest/gtest.h>

#include <string>

namespace pprof::sampler {
namespace {

constexpr std::int64_t kPeriod = 10000000;

struct Due {
  std::string name;
  std::uint32_t weight;
};

std::vector<Due> TakeDue(OperationBooks& books) {
  std::vector<OperationBooks::Sample> owed;
  books.TakeOwed(&owed);
  std::vector<Due> due;
  for (const OperationBooks::Sample& words : owed) {
    const auto& sample = *reinterpret_cast<const handler::SampleHeader*>(words.data());
    EXPECT_EQ(sample.words, words.size());
    EXPECT_EQ(sample.frames, 0);
    due.push_back({std::string(reinterpret_cast<const char*>(&sample + 1), sample.name_bytes),
                   sample.weight});
  }
  return due;
}

bool Add(OperationBooks& books, const std::string& name, std::int64_t ns) {
  const SpanName span{static_cast<std::uint32_t>(name.size()), 0, name.data(), nullptr};
  return books.Add(&span, nullptr, ns);
}

TEST(OperationBooks, EachOperationGetsItsOwnWholePeriodsWhenSettled) {
  OperationBooks books;
  books.Reset(kPeriod);
  for (int i = 0; i < 25; ++i) Add(books, "checkout", 1000000);
  for (int i = 0; i < 25; ++i) Add(books, "search-all", 100000);
  EXPECT_TRUE(TakeDue(books).empty());
  EXPECT_EQ(books.Settle(), 0);
  const std::vector<Due> due = TakeDue(books);
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].name, "checkout");
  EXPECT_EQ(due[0].weight, 2u);
  EXPECT_EQ(books.Clear(), 5000000 + 2500000);
}

// A scope in which the timer expired: one period delivered, 1 ms used.
TEST(OperationBooks, WhatTheTimerDeliveredIsNotDueAgain) {
  OperationBooks books;
  books.Reset(kPeriod);
  for (int i = 0; i < 9; ++i) Add(books, "op", 1000000);
  Add(books, "op", 1000000 - kPeriod);
  for (int i = 0; i < 19; ++i) Add(books, "op", 1000000);
  books.Settle();
  const std::vector<Due> due = TakeDue(books);
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].weight, 1u);
}

TEST(OperationBooks, NothingIsLostBeyondTheLimitOfOperations) {
  OperationBooks books;
  books.Reset(kPeriod);
  std::int64_t taken = 0;
  for (int i = 0; i < 1000; ++i) {
    if (Add(books, "op-" + std::to_string(i), 3000000)) taken += 3000000;
  }
  EXPECT_EQ(taken, std::int64_t{OperationBooks::kMostOperations} * 3000000);
  EXPECT_EQ(books.Settle(), taken);
  EXPECT_TRUE(Add(books, "another", 1));
  EXPECT_EQ(books.Clear(), 1);
}

}  // namespace
}  // namespace pprof::sampler
