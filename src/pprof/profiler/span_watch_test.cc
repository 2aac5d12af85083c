// Spans and samples of this process as a watch gives them.
#include <gtest/gtest.h>
#include <pprof/span_record.h>
#include <pprof/span_watch.h>
#include <pprof/trace_context.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace pprof {
namespace {

using nlohmann::json;

std::int64_t ThreadCpuNs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

[[gnu::noinline]] void BurnCpuForSpan(std::int64_t ns) {
  static std::atomic<std::uint64_t> sink{0};
  const std::int64_t end = ThreadCpuNs() + ns;
  while (ThreadCpuNs() < end) {
    for (int i = 0; i < 1000; ++i)
      sink.store(sink.load(std::memory_order_relaxed) * 3 + 1, std::memory_order_relaxed);
  }
}

// A span whose label is on this thread while it lives.
class LabelledSpan {
 public:
  explicit LabelledSpan(std::uint8_t id, const char* name) {
    start_.trace_id[0] = 1;
    start_.span_id[7] = id;
    start_.label_span_id[7] = id;
    start_.local_root = true;
    start_.sampled = true;
    start_.name = name;
    record_ = SpanRecord::Start(start_);
    std::memcpy(context_.trace_id, start_.trace_id, sizeof(context_.trace_id));
    std::memcpy(context_.span_id, start_.span_id, sizeof(context_.span_id));
    std::memcpy(context_.label_span_id, start_.span_id, sizeof(context_.label_span_id));
    context_.valid = 1;
    context_.labels = kSpanIdLabel | kTraceIdLabel;
    token_ = PushTraceContext(&context_);
  }
  ~LabelledSpan() {
    PopTraceContext(token_);
    if (record_ == nullptr) return;
    record_->End();
    record_->Release();
  }
  LabelledSpan(const LabelledSpan&) = delete;
  LabelledSpan& operator=(const LabelledSpan&) = delete;

 private:
  SpanStart start_;
  SpanRecord* record_ = nullptr;
  TraceContext context_{};
  TraceToken token_ = 0;
};

// Watches a span of so much CPU time; returns how many samples it has.
std::int64_t SamplesOfASpan(std::int64_t ms) {
  auto watch = WatchSpans();
  EXPECT_TRUE(watch.ok()) << watch.status().message;
  if (!watch.ok()) return 0;
  {
    const LabelledSpan span(0x2a, "busy span");
    BurnCpuForSpan(ms * 1'000'000);
  }
  const auto text = watch->Document();
  EXPECT_TRUE(text.ok());
  if (!text.ok()) return 0;
  const json document = json::parse(*text);
  EXPECT_EQ(document["spans"].size(), 1u);
  if (document["spans"].size() != 1) return 0;
  const json& span = document["spans"][0];
  EXPECT_EQ(document["ids"][span[0].get<std::size_t>()], "000000000000002a");
  EXPECT_GE(span[5].get<std::int64_t>(), ms * 1'000'000);
  const std::int64_t now = static_cast<std::int64_t>(time(nullptr)) * 1'000'000'000;
  const std::int64_t started =
      std::stoll(document["origin_ns"].get<std::string>()) + span[4].get<std::int64_t>();
  EXPECT_LT(std::abs(now - started), 60'000'000'000);
  std::int64_t samples = 0;
  for (const json& sample : document["samples"]) {
    if (sample[1] == span[0]) samples += sample[4].get<std::int64_t>();
  }
  const auto folded = watch->SpanProfile("000000000000002a", SpanProfileFormat::kFolded);
  EXPECT_TRUE(folded.ok());
  if (!folded.ok()) return 0;
  EXPECT_NE(folded->find("BurnCpuForSpan"), std::string::npos) << *folded;
  const auto none = watch->SpanProfile("000000000000002b", SpanProfileFormat::kFolded);
  EXPECT_EQ(*none, "");
  EXPECT_EQ(watch->SpanProfile("2b", SpanProfileFormat::kText).status().code,
            Status::Code::kInvalidArgument);
  return samples;
}

// A busy machine's timers may be late by more than a tenth of a short time.
TEST(SpanWatch, GivesASpanWithTheSamplesThatItRan) {
  std::int64_t samples = 0;
  std::int64_t ms = 300;
  for (; ms <= 2700; ms *= 3) {
    samples = SamplesOfASpan(ms);
    if (samples >= ms / 12 || HasFailure()) break;
  }
  EXPECT_LE(ms, 2700) << samples << " samples";
}

TEST(SpanWatch, WatchesShareOneRecorderAndTheLastOneEndsIt) {
  EXPECT_EQ(RunningSpanWatch().status().code, Status::Code::kStopped);
  {
    auto first = WatchSpans();
    auto second = WatchSpans();
    auto third = RunningSpanWatch();
    ASSERT_TRUE(first.ok() && second.ok() && third.ok());
    { const SpanWatch gone = std::move(*first); }
    EXPECT_TRUE(SpansWanted());
    { const LabelledSpan span(1, "a"); }
    EXPECT_EQ(json::parse(*second->Document())["spans"].size(), 1u);
    EXPECT_EQ(json::parse(*third->Document())["spans"].size(), 1u);
  }
  EXPECT_FALSE(SpansWanted());
}

TEST(SpanWatch, OptionsOutOfRangeAreRefused) {
  SpanWatchOptions options;
  options.rate = 0;
  EXPECT_EQ(WatchSpans(options).status().code, Status::Code::kInvalidArgument);
  options = {};
  options.max_span_bytes = 1000;
  EXPECT_EQ(WatchSpans(options).status().code, Status::Code::kInvalidArgument);
  options = {};
  options.keep = std::chrono::seconds(1);
  EXPECT_EQ(WatchSpans(options).status().code, Status::Code::kInvalidArgument);
  EXPECT_FALSE(SpansWanted());
}

TEST(SpanWatch, IsWrittenToAFile) {
  SpanWatchOptions options;
  options.service = "shop";
  auto watch = WatchSpans(options);
  ASSERT_TRUE(watch.ok());
  const std::string path = testing::TempDir() + "spans.json";
  ASSERT_TRUE(watch->WriteDocument(path).ok());
  std::ifstream in(path);
  EXPECT_EQ(json::parse(in)["service"], "shop");
  std::remove(path.c_str());
  EXPECT_EQ(watch->WriteDocument("/nowhere/at/all").code, Status::Code::kIo);
}

TEST(SpanWatch, ManySpansOnManyThreadsStayWithinTheMemoryWhileOthersRead) {
  SpanWatchOptions options;
  options.max_span_bytes = std::size_t{1} << 20;
  auto watch = WatchSpans(options);
  ASSERT_TRUE(watch.ok());
  constexpr int kThreads = 3;
  constexpr int kSpans = 20'000;
  std::vector<std::thread> threads;
  std::atomic<int> running{kThreads};
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kSpans; ++i) {
        const LabelledSpan span(static_cast<std::uint8_t>(i), "many");
      }
      --running;
    });
  }
  while (running != 0) EXPECT_TRUE(watch->Document(true).ok());
  for (std::thread& thread : threads) thread.join();
  const json document = json::parse(*watch->Document());
  const auto of_operation = document["operations"][0][1].get<std::uint64_t>();
  EXPECT_EQ(of_operation + document["dropped"]["not_recorded"].get<std::uint64_t>(),
            std::uint64_t{kThreads} * kSpans);
  EXPECT_LT(document["spans"].size(), 10'000u);
}

TEST(SpanWatch, AForkChildIsToldAndMayWatchAnew) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "a fork child cannot start threads under ThreadSanitizer";
#endif
#ifdef __SANITIZE_ADDRESS__
  // Seen in one of a hundred runs: another thread was in g++ 12's AddressSanitizer when this one
  // forked.
  GTEST_SKIP() << "a fork child may hang in AddressSanitizer's allocator, whose locks it inherits";
#endif
#ifdef OTELPROF_EMULATED
  GTEST_SKIP() << "qemu's user mode aborts when a fork child of several threads starts another";
#endif
  auto watch = WatchSpans();
  ASSERT_TRUE(watch.ok());
  const pid_t child = fork();
  if (child == 0) {
    bool good = watch->Document().status().code == Status::Code::kStopped && !SpansWanted();
    auto anew = WatchSpans();
    good = good && anew.ok() && anew->Document().ok();
    _exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(watch->Document().ok());
}

}  // namespace
}  // namespace pprof
