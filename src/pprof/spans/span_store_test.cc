#include "src/pprof/spans/span_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "src/pprof/spans/latency.h"

namespace pprof::spans {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

struct Made {
  std::string name;
  std::int64_t duration_ns = kMillisecond;
  std::uint64_t trace = 0;
  bool root = true;
  bool failed = false;
};

class SpanStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    before_ = BytesUsed();
    Want(before_ + (std::int64_t{1} << 20));
  }
  void TearDown() override {
    store_.reset();
    StopWanting();
    EXPECT_EQ(BytesUsed(), before_) << "all memory is given back";
  }

  // As its own trace unless `made` says which.
  void Add(const Made& made) {
    SpanStart start;
    ++next_id_;
    std::memcpy(start.span_id, &next_id_, sizeof(next_id_));
    const std::uint64_t trace = made.trace != 0 ? made.trace : next_id_;
    std::memcpy(start.trace_id, &trace, sizeof(trace));
    start.name = made.name;
    start.local_root = made.root;
    start.steady_ns = 1;
    SpanRecord* span = SpanRecord::Start(start);
    ASSERT_NE(span, nullptr);
    if (made.failed) span->SetStatus(SpanStatus::kError);
    span->End(1 + made.duration_ns);
    span->Release();
    store_->Add(TakeEnded(), 0);
    store_->Trim();
  }

  std::size_t Kept(const std::string& name) const {
    std::size_t kept = 0;
    store_->ForEach([&](const Record& record) { kept += record.Name() == name ? 1 : 0; });
    return kept;
  }

  std::int64_t before_ = 0;
  std::uint64_t next_id_ = 0;
  std::unique_ptr<SpanStore> store_ = std::make_unique<SpanStore>();
};

TEST_F(SpanStoreTest, RareSlowAndFailedSpansSurviveManyOrdinaryOnes) {
  Add({"ordinary", 900 * kMillisecond});
  Add({"ordinary", kMillisecond, 0, true, true});
  Add({"seldom"});
  for (int i = 0; i < 20'000; ++i) Add({"ordinary"});
  std::size_t slow = 0;
  std::size_t failed = 0;
  store_->ForEach([&](const Record& record) {
    slow += record.duration_ns == 900 * kMillisecond ? 1 : 0;
    failed += record.Failed() ? 1 : 0;
  });
  EXPECT_EQ(slow, 1u);
  EXPECT_EQ(failed, 1u);
  EXPECT_EQ(Kept("seldom"), 1u);
  EXPECT_GT(Kept("ordinary"), 500u);
  EXPECT_LT(Kept("ordinary"), 10'000u);
  EXPECT_EQ(store_->kept() + store_->dropped(), 20'003u);
  EXPECT_LE(BytesUsed(), BytesLimit());
}

TEST_F(SpanStoreTest, OfTheOrdinaryTheOldestGoFirst) {
  for (int i = 0; i < 20'000; ++i) Add({"ordinary"});
  std::uint64_t oldest = UINT64_MAX;
  store_->ForEach([&](const Record& record) {
    std::uint64_t id;
    std::memcpy(&id, record.span_id, sizeof(id));
    oldest = std::min(oldest, id);
  });
  EXPECT_EQ(oldest, 20'000 - store_->kept() + 1);
}

TEST_F(SpanStoreTest, ATraceStaysWholeForTheSakeOfItsRarestSpan) {
  constexpr std::uint64_t kTrace = UINT64_MAX;
  for (int i = 0; i < 10; ++i) Add({"child", kMillisecond, kTrace, false});
  Add({"child", kMillisecond, kTrace, false, true});  // the only one that failed
  Add({"ordinary", kMillisecond, kTrace});
  for (int i = 0; i < 20'000; ++i) Add({i % 2 == 0 ? "ordinary" : "child"});
  std::size_t of_trace = 0;
  store_->ForEach([&](const Record& record) { of_trace += record.trace_id[0] == 0xff ? 1 : 0; });
  EXPECT_GE(of_trace, 12u);
}

TEST_F(SpanStoreTest, OperationsCountAllSpansAlsoThoseThatWent) {
  for (int i = 1; i <= 10'000; ++i) {
    Add({"operation", i * kMillisecond / 10, 0, true, i % 100 == 0});
  }
  ASSERT_EQ(store_->operations().size(), 1u);
  const Operation& operation = *store_->operations().front();
  EXPECT_EQ(operation.name, "operation");
  EXPECT_EQ(operation.latency.total(), 10'000u);
  EXPECT_EQ(operation.errors, 100u);
  EXPECT_EQ(operation.latency.max(), 1000 * kMillisecond);
  EXPECT_NEAR(static_cast<double>(operation.latency.Quantile(0.5)), 500e6, 500e6 / 16);
  EXPECT_NEAR(static_cast<double>(operation.latency.Quantile(0.95)), 950e6, 950e6 / 16);
}

TEST_F(SpanStoreTest, NamesWithIdsEndInOneOperation) {
  Want(before_ + (std::int64_t{16} << 20));
  for (int i = 0; i < 2'000; ++i) Add({"GET /user/" + std::to_string(i)});
  EXPECT_LE(store_->operations().size(), 512u);
  EXPECT_EQ(store_->operations().back()->name, "(other operations)");
  EXPECT_EQ(store_->operations().back()->latency.total(), 2'000u - 511);
}

TEST_F(SpanStoreTest, ATraceWithoutEndIsBounded) {
  for (int i = 0; i < 50'000; ++i) Add({"child", kMillisecond, 7, false});
  EXPECT_LE(store_->kept(), 4096u);
  EXPECT_LE(BytesUsed(), BytesLimit());
}

TEST(LatencyHistogram, QuantilesAreWithinASixteenthOverAllSizes) {
  for (std::int64_t ns = 1; ns < std::int64_t{1} << 45; ns = ns * 5 / 3 + 1) {
    LatencyHistogram histogram;
    histogram.Add(ns);
    histogram.Add(ns * 8);
    const std::int64_t found = histogram.Quantile(0.5);
    EXPECT_GE(found, ns);
    EXPECT_LE(found, ns + ns / 16);
    EXPECT_EQ(histogram.Quantile(1), ns * 8);
  }
  EXPECT_EQ(LatencyHistogram().Quantile(0.5), 0);
}

}  // namespace
}  // namespace pprof::spans
