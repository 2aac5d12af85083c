#include "src/pprof/spans/record.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace pprof::spans {
namespace {

constexpr std::int64_t kLimit = 1 << 20;

SpanStart Start(std::string_view name) {
  SpanStart start;
  start.trace_id[0] = 1;
  start.span_id[0] = 2;
  start.name = name;
  start.steady_ns = 1000;
  return start;
}

std::string Attributes(const Record& record) {
  std::string text;
  record.ForEachAttribute([&](std::string_view key, std::string_view value) {
    text += std::string(key) + "=" + std::string(value) + ";";
  });
  return text;
}

// Watches spans, and finds all memory given back at the end.
class RecordTest : public testing::Test {
 protected:
  void SetUp() override {
    before_ = BytesUsed();
    Want(before_ + kLimit);
  }
  void TearDown() override {
    StopWanting();
    EXPECT_EQ(BytesUsed(), before_);
  }
  std::int64_t before_ = 0;
};

TEST_F(RecordTest, AnEndedSpanIsHandedOverWithAllThatWasSaid) {
  SpanStart start = Start("first name");
  start.sampled = true;
  start.local_root = true;
  SpanRecord* span = SpanRecord::Start(start);
  ASSERT_NE(span, nullptr);
  EXPECT_EQ(TakeEnded(), nullptr) << "it has not ended";
  span->SetAttribute("a", "1");
  span->SetAttribute("b", "2");
  span->SetAttribute("a", "3");
  span->SetStatus(SpanStatus::kError);
  span->SetName("GET /orders");
  span->End(3500);
  span->SetName("too late");
  span->SetAttribute("late", "1");
  span->SetStatus(SpanStatus::kOk);
  span->End(9000);
  Record* record = TakeEnded();
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->next, nullptr) << "the second end counts nothing";
  EXPECT_EQ(record->Name(), "GET /orders");
  EXPECT_EQ(record->duration_ns, 2500);
  EXPECT_EQ(record->status, SpanStatus::kError);
  EXPECT_EQ(Attributes(*record), "b=2;a=3;");
  EXPECT_TRUE(record->sampled && record->local_root);
  span->Release();
  EXPECT_EQ(record->Name(), "GET /orders") << "lives on";
  Unref(record);
}

TEST_F(RecordTest, TextsAreCutBetweenCharacters) {
  const std::string euro = "\xe2\x82\xac";
  std::string name;
  for (int i = 0; i < 100; ++i) name += euro;
  SpanRecord* span = SpanRecord::Start(Start(""));
  span->SetName(name);
  span->SetAttribute("key", name);
  for (int i = 0; i < 20; ++i) span->SetAttribute("key " + std::to_string(i), "v");
  span->End();
  Record* record = TakeEnded();
  EXPECT_EQ(record->Name(), name.substr(0, 255));
  EXPECT_EQ(Attributes(*record).substr(0, 204), "key=" + name.substr(0, 198) + ";k");
  EXPECT_EQ(record->attribute_count, SpanRecord::kMaxAttributes);
  span->Release();
  Unref(record);
}

TEST_F(RecordTest, BeyondTheLimitSpansAreCountedInsteadOfRecorded) {
  const std::uint64_t before = NotRecorded();
  std::vector<SpanRecord*> spans;
  for (int i = 0; i < 100'000; ++i) {
    SpanRecord* span = SpanRecord::Start(Start("name"));
    if (span == nullptr) break;
    spans.push_back(span);
  }
  EXPECT_LT(spans.size(), 20'000u);
  EXPECT_GT(spans.size(), 1'000u);
  EXPECT_LE(BytesUsed(), BytesLimit());
  EXPECT_EQ(NotRecorded() - before, 1u);
  spans.front()->SetAttribute("key", std::string(200, 'x'));
  for (SpanRecord* span : spans) {
    span->End();
    span->Release();
  }
  for (Record* record = TakeEnded(); record != nullptr;) {
    Record* next = record->next;
    EXPECT_EQ(record->attribute_count, 0) << "no room for it";
    Unref(record);
    record = next;
  }
}

TEST_F(RecordTest, NothingIsRecordedWhenNobodyWatches) {
  SpanRecord* running = SpanRecord::Start(Start("running"));
  StopWanting();
  EXPECT_EQ(SpanRecord::Start(Start("name")), nullptr);
  running->End();
  running->Release();
  EXPECT_EQ(TakeEnded(), nullptr);
}

TEST_F(RecordTest, ThreadsThatEndChangeAndStopAtOnceLoseNothingAndRaceNowhere) {
  constexpr int kThreads = 4;
  constexpr int kSpans = 5'000;
  Want(std::int64_t{64} << 20);
  const std::uint64_t before = NotRecorded();
  std::atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kSpans; ++i) {
        SpanRecord* span = SpanRecord::Start(Start("name"));
        if (span == nullptr) continue;
        span->SetName("a name that is longer than the thirty-two bytes there are");
        std::thread other;
        if (i % 500 == 0) other = std::thread([&] { span->SetAttribute("key", "value"); });
        span->End();
        if (other.joinable()) other.join();
        span->Release();
      }
      --running;
    });
  }
  std::uint64_t taken = 0;
  bool last = false;
  while (!last) {
    last = running == 0;
    for (Record* record = TakeEnded(); record != nullptr; ++taken) {
      Record* next = record->next;
      EXPECT_EQ(record->Name().substr(0, 6), "a name");
      EXPECT_LE(Attributes(*record).size(), 10u);
      Unref(record);
      record = next;
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, std::uint64_t{kThreads} * kSpans);
  EXPECT_EQ(NotRecorded(), before);
}

TEST_F(RecordTest, AForkChildRecordsNothingAndGoesOn) {
  SpanRecord* span = SpanRecord::Start(Start("name"));
  const pid_t child = fork();
  if (child == 0) {
    const bool wanted = SpansWanted();
    span->SetName("in the child");
    span->End();
    span->Release();
    _exit(!wanted && TakeEnded() == nullptr ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  span->End();
  span->Release();
}

}  // namespace
}  // namespace pprof::spans
