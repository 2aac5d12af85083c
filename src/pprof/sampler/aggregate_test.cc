#include "src/pprof/sampler/aggregate.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "src/pprof/handler/walk.h"
#include "src/pprof/sampler/window.h"
#include "tests/support/bounded.h"

namespace pprof::sampler {
namespace {

// A record as the handler writes it.
class Record {
 public:
  explicit Record(std::vector<std::uint64_t> frames, std::uint32_t weight = 1)
      : frames_(std::move(frames)) {
    header_.weight = weight;
    header_.kind = handler::RecordKind::kSample;
  }
  Record& Name(std::string name) {
    name_ = std::move(name);
    header_.has_name = 1;
    return *this;
  }
  Record& SpanId(std::uint64_t id) {
    header_.span_id = id;
    header_.labels |= kSpanIdLabel;
    return *this;
  }
  Record& End(handler::WalkEnd end) {
    header_.walk_end = static_cast<std::uint8_t>(end);
    return *this;
  }
  const handler::SampleHeader& Get() {
    const std::size_t name_words = (name_.size() + 7) / 8;
    words_.assign(sizeof header_ / 8 + name_words + frames_.size(), 0);
    header_.words = static_cast<std::uint32_t>(words_.size());
    header_.frames = static_cast<std::uint16_t>(frames_.size());
    header_.name_bytes = static_cast<std::uint16_t>(name_.size());
    std::memcpy(words_.data(), &header_, sizeof header_);
    std::memcpy(words_.data() + sizeof header_ / 8, name_.data(), name_.size());
    std::copy(frames_.begin(), frames_.end(),
              words_.begin() + static_cast<std::ptrdiff_t>(sizeof header_ / 8 + name_words));
    return *reinterpret_cast<const handler::SampleHeader*>(words_.data());
  }

 private:
  handler::SampleHeader header_ = {};
  std::string name_;
  std::vector<std::uint64_t> frames_;
  std::vector<std::uint64_t> words_;
};

TEST(Aggregate, SameStackAndContextAddUp) {
  Aggregate aggregate;
  EXPECT_TRUE(aggregate.Add(Record({1, 2, 3}, 2).Name("GET /").Get(), 5));
  EXPECT_TRUE(aggregate.Add(Record({1, 2, 3}, 3).Name("GET /").Get(), 5));
  int entries = 0;
  aggregate.ForEach([&](const StackView& stack, const ContextView& context, std::uint64_t weight) {
    ++entries;
    EXPECT_EQ(weight, 5u);
    EXPECT_EQ(stack.module_version, 5u);
    EXPECT_EQ(std::vector<std::uint64_t>(stack.pcs, stack.pcs + stack.count),
              (std::vector<std::uint64_t>{1, 2, 3}));
    EXPECT_TRUE(context.has_span_name);
    EXPECT_EQ(context.span_name, "GET /");
    EXPECT_FALSE(context.has_span_id);
  });
  EXPECT_EQ(entries, 1);
}

TEST(Aggregate, DifferentContextsModuleVersionsAndTruncationStayApart) {
  Aggregate aggregate;
  aggregate.Add(Record({1}).SpanId(1).Get(), 0);
  aggregate.Add(Record({1}).SpanId(2).Get(), 0);
  aggregate.Add(Record({1}).Get(), 0);
  aggregate.Add(Record({1}).Get(), 1);
  aggregate.Add(Record({1}).End(handler::WalkEnd::kTruncated).Get(), 1);
  int entries = 0;
  int truncated = 0;
  aggregate.ForEach([&](const StackView& stack, const ContextView&, std::uint64_t weight) {
    ++entries;
    truncated += stack.truncated ? 1 : 0;
    EXPECT_EQ(weight, 1u);
  });
  EXPECT_EQ(entries, 5);
  EXPECT_EQ(truncated, 1);
}

TEST(Aggregate, OverTheCapWeightIsKeptUnderStorageFull) {
  std::uint64_t total = 0;
  {
    Aggregate aggregate;
    std::uint64_t refused = 0;
    for (std::uint64_t i = 0; i < 300000; ++i) {
      std::vector<std::uint64_t> frames(20, i);  // every stack is new: 168 bytes each, 48 MB in all
      if (!aggregate.Add(Record(std::move(frames)).Get(), 0)) ++refused;
      ++total;
      ASSERT_LE(AggregateBytes(), kAggregateBytesCap);
    }
    EXPECT_GT(refused, 100000u);
    EXPECT_EQ(aggregate.special(Special::kStorageFull), refused);
    std::uint64_t kept = 0;
    aggregate.ForEach(
        [&](const StackView&, const ContextView&, std::uint64_t weight) { kept += weight; });
    EXPECT_GT(kept, 30000u);
    EXPECT_EQ(kept + refused, total);
    // What is known goes on being counted.
    EXPECT_TRUE(aggregate.Add(Record(std::vector<std::uint64_t>(20, 0)).Get(), 0));
  }
  EXPECT_EQ(AggregateBytes(), 0u);
}

// Few stacks, few contexts, but each of them under each.
TEST(Aggregate, CombinationsCountTowardsTheCap) {
  Aggregate aggregate;
  std::uint64_t refused = 0;
  for (std::uint64_t stack = 1; stack <= 800; ++stack) {
    for (std::uint64_t span = 1; span <= 800; ++span) {
      if (!aggregate.Add(Record({stack}).SpanId(span).Get(), 0)) ++refused;
    }
    ASSERT_LE(AggregateBytes(), kAggregateBytesCap);
  }
  EXPECT_GT(refused, 100000u);
  EXPECT_EQ(aggregate.special(Special::kStorageFull), refused);
}

// Sanitizers keep what was freed, and memory of their own about all that was mapped; an emulator's
// memory is not the program's.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(OTELPROF_EMULATED)

// Threads that all live, so that malloc gives each an arena of its own, and work one after another.
template <class F>
void OnThreadsInTurn(int count, F&& f) {
  std::mutex mutex;
  std::condition_variable changed;
  int turn = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      std::unique_lock<std::mutex> lock(mutex);
      changed.wait(lock, [&] { return turn == i; });
      f();
      ++turn;
      changed.notify_all();
      changed.wait(lock, [&] { return turn == count; });
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Each profile may be collected by another thread. In malloc's arenas every one of them would
// keep some MiB of what the largest profile needed, for as long as the process lives.
TEST(Aggregate, LeavesNoMemoryOnTheThreadThatFilledIt) {
  const auto fill = [] {
    Aggregate aggregate;
    for (std::uint64_t i = 0; i < 60000; ++i) {
      ASSERT_TRUE(aggregate.Add(Record({i, 1, 2, 3}).SpanId(i).Get(), 0));
    }
    ASSERT_GT(AggregateBytes(), 8u << 20);
  };
  OnThreadsInTurn(2, fill);  // what comes with the first ones
  const double before = test::StatusMib("VmRSS");
  OnThreadsInTurn(16, fill);
  EXPECT_LE(test::StatusMib("VmRSS") - before, 4);
}

#endif

TEST(CountTable, CountsAsAMapDoes) {
  CountTable table;
  std::map<std::uint64_t, std::uint64_t> expected;
  std::mt19937_64 random(1);  // NOLINT: the same numbers each time
  for (int i = 0; i < 100000; ++i) {
    const std::uint64_t key = (random() % 100) << 32 | random() % 100;
    const std::uint64_t count = 1 + random() % 3;
    ASSERT_TRUE(table.Add(key, count, 1u << 20));
    expected[key] += count;
  }
  std::map<std::uint64_t, std::uint64_t> counted;
  table.ForEach([&](std::uint64_t key, std::uint64_t count) { counted[key] += count; });
  EXPECT_EQ(counted, expected);
  EXPECT_EQ(table.size(), expected.size());
}

TEST(CountTable, RefusesToGrowBeyondItsLimitButKnowsWhatItHas) {
  CountTable table;
  EXPECT_FALSE(table.Add(1, 1, 100));
  std::uint64_t key = 0;
  while (table.Add(key, 1, 8192)) ++key;
  EXPECT_EQ(table.bytes(), 8192u);
  EXPECT_EQ(table.size(), key);
  EXPECT_TRUE(table.Add(0, 1, 0));
  EXPECT_FALSE(table.Add(key, 1, 8192));
}

// Of two windows that follow each other, exactly one holds the sample of the moment between them.
TEST(Window, HoldsItsFirstInstantAndNotThatOfTheNext) {
  Window window;
  window.start_ns = 10;
  EXPECT_TRUE(window.Holds(1000));  // open
  window.end_ns = 20;
  EXPECT_FALSE(window.Holds(9));
  EXPECT_TRUE(window.Holds(10));
  EXPECT_TRUE(window.Holds(19));
  EXPECT_FALSE(window.Holds(20));
}

TEST(WordTable, EqualContentGetsEqualIds) {
  WordTable table;
  std::map<std::uint32_t, std::vector<std::uint64_t>> contents;
  for (std::uint64_t i = 0; i < 20000; ++i) {
    const std::vector<std::uint64_t> words(1 + i % 7, i / 3 % 5000);
    const std::uint32_t id =
        table.Intern({words.data(), static_cast<std::uint32_t>(words.size())}, 1u << 30);
    ASSERT_NE(id, WordTable::kFull);
    const auto known = contents.emplace(id, words);
    ASSERT_EQ(known.first->second, words);
    const WordTable::View view = table.at(id);
    ASSERT_EQ(std::vector<std::uint64_t>(view.words, view.words + view.count), words);
  }
  EXPECT_EQ(table.size(), contents.size());
}

TEST(WordTable, RefusesToGrowBeyondItsLimitButKnowsWhatItHas) {
  WordTable table;
  const std::uint64_t words[2] = {1, 2};
  ASSERT_EQ(table.Intern({words, 2}, 1u << 20), 0u);
  const std::size_t bytes = table.bytes();
  std::vector<std::uint64_t> big(100000, 7);
  EXPECT_EQ(table.Intern({big.data(), 100000}, bytes), WordTable::kFull);
  EXPECT_EQ(table.bytes(), bytes);
  EXPECT_EQ(table.Intern({words, 2}, 0), 0u);
}

}  // namespace
}  // namespace pprof::sampler
