// Threads that live shorter than a period: every nanosecond of theirs has a place, and what a
// thread used inside its first scope is its operation's.

#include <gtest/gtest.h>
#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <pprof/trace_context.h>

#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/busy.h"
#include "tests/support/pprof_reader.h"

namespace pprof {
namespace {

constexpr int kThreads = 2000;

using NsByOperation = std::map<std::string, std::int64_t>;

struct Result {
  NsByOperation all;          // by `key`: every sample
  NsByOperation corrections;  // of those: under "[thread exit correction]"
  std::int64_t total_ns = 0;
  std::int64_t clock_ns = 0;  // of the process, less the library's own threads
  bool correction_with_id = false;
};

// Runs `work` under a profile at 100 Hz and sums its samples by the label `key`.
template <class Work>
Result Profile(const char* key, Work&& work) {
  Result result;
  std::string bytes;
  auto profile = StartCpuProfile([&](std::string_view piece) {
    bytes += piece;
    return true;
  });
  EXPECT_TRUE(profile.ok()) << profile.status().message;
  const std::uint64_t library_before = ReadStats().library_cpu_ns;
  const std::int64_t cpu_before = test::ProcessCpuNs();
  work();
  result.clock_ns = test::ProcessCpuNs() - cpu_before -
                    static_cast<std::int64_t>(ReadStats().library_cpu_ns - library_before);
  EXPECT_TRUE(profile->Stop().ok());
  std::string error;
  const auto read = pprof_reader::Read(bytes, &error);
  EXPECT_TRUE(read.has_value()) << error;
  if (!read.has_value()) return result;
  for (const pprof_reader::Sample& sample : read->samples) {
    const bool correction = sample.HasFunction("[thread exit correction]");
    const std::string operation(sample.Label(key));
    result.total_ns += sample.cpu_ns;
    result.all[operation] += sample.cpu_ns;
    if (!correction) continue;
    result.corrections[operation] += sample.cpu_ns;
    result.correction_with_id = result.correction_with_id || !sample.Label("span_id").empty();
  }
  return result;
}

// Two at a time; thread i does f(i).
template <class F>
void RunThreads(int threads, F&& f) {
  for (int i = 0; i < threads; i += 2) {
    std::thread other([&] { f(i); });
    std::thread one([&] { f(i + 1); });
    other.join();
    one.join();
  }
}

// What the threads measured themselves.
class Clocks {
 public:
  // Runs f on thread `i`, inside its scope.
  template <class F>
  void Measure(int i, const std::string& operation, F&& f) {
    const std::int64_t start = test::ThreadCpuNs();
    f();
    used_[static_cast<std::size_t>(i)] = {operation, test::ThreadCpuNs() - start};
  }
  NsByOperation Sum() const {
    NsByOperation sum;
    for (const auto& [operation, ns] : used_) sum[operation] += ns;
    return sum;
  }

 private:
  std::vector<std::pair<std::string, std::int64_t>> used_ =
      std::vector<std::pair<std::string, std::int64_t>>(kThreads);
};

void ExpectWithin(std::int64_t is, std::int64_t expected, double part, const std::string& what) {
  const double ratio = static_cast<double>(is) / static_cast<double>(expected);
  std::printf("  %s: clock %.3f s, profile %.4f of it\n", what.c_str(),
              static_cast<double>(expected) / 1e9, ratio);
  EXPECT_NEAR(ratio, 1, part) << what;
}

void ExpectOperationsAgree(const Result& result, const Clocks& clocks) {
  for (const auto& [operation, ns] : clocks.Sum()) {
    const auto found = result.all.find(operation);
    ExpectWithin(found == result.all.end() ? 0 : found->second, ns, 0.02, operation);
  }
  ExpectWithin(result.total_ns, result.clock_ns, 0.02, "all samples");
  EXPECT_FALSE(result.correction_with_id);
}

const char* const kOperations[] = {"checkout", "search", "login"};

TEST(ShortThreads, EachLabelScopeHasWhatItsThreadsMeasured) {
  Clocks clocks;
  const Result result = Profile("operation", [&] {
    RunThreads(kThreads, [&](int i) {
      const char* const operation = kOperations[i % 3];
      const LabelSet labels = Labels({{"operation", operation}});
      test::BurnCpu(300000);  // before and after the scope: nobody's
      {
        const LabelScope scope(labels);
        clocks.Measure(i, operation, [&] { test::BurnCpu((2 + i % 3) * 600000); });
      }
      test::BurnCpu(300000);
    });
  });
  ExpectOperationsAgree(result, clocks);
}

TEST(ShortThreads, EachSpanNameHasWhatItsThreadsMeasured) {
  Clocks clocks;
  const Result result = Profile("span_name", [&] {
    RunThreads(kThreads, [&](int i) {
      SpanState* const state = SpanState::Create(kOperations[i % 2]);
      ASSERT_NE(state, nullptr);
      TraceContext context{};
      std::memset(context.label_span_id, i % 255 + 1, sizeof context.label_span_id);
      context.labels = kSpanIdLabel;
      context.name = state;
      test::BurnCpu(300000);
      const TraceToken token = PushTraceContext(&context);
      clocks.Measure(i, kOperations[i % 2], [&] {
        test::BurnCpu(400000);
        TraceContext child = context;  // another id under the same name
        std::memset(child.label_span_id, 255, sizeof child.label_span_id);
        const TraceToken inner = PushTraceContext(&child);
        test::BurnCpu(400000);
        EXPECT_TRUE(PopTraceContext(inner));
        test::BurnCpu(400000);
      });
      EXPECT_TRUE(PopTraceContext(token));
      test::BurnCpu(300000);
      state->Unref();
    });
  });
  ExpectOperationsAgree(result, clocks);
}

TEST(ShortThreads, LabelsHandedToATaskHaveWhatItMeasured) {
  Clocks clocks;
  const Result result = Profile("operation", [&] {
    LabelSnapshot snapshots[2];
    for (int k = 0; k < 2; ++k) {
      const LabelScope scope(Labels({{"operation", kOperations[k]}}));
      snapshots[k] = CurrentLabels();
    }
    RunThreads(kThreads, [&](int i) {
      {
        const LabelScope scope(snapshots[i % 2]);
        clocks.Measure(i, kOperations[i % 2], [&] { test::BurnCpu(1000000); });
      }
      test::BurnCpu(300000);
    });
  });
  ExpectOperationsAgree(result, clocks);
}

// The clock was read when the outer scope began and when it ended: it cannot tell which of the two
// used the time between.
TEST(ShortThreads, WhatMayBeAnInnerScopesIsNobodys) {
  const Result result = Profile("operation", [&] {
    RunThreads(kThreads, [&](int) {
      const LabelScope outer(Labels({{"operation", "outer"}}));
      const LabelScope inner(Labels({{"operation", "inner"}}));
      test::BurnCpu(1000000);
    });
  });
  EXPECT_EQ(result.corrections.count("outer"), 0u);
  EXPECT_EQ(result.corrections.count("inner"), 0u);
  EXPECT_GT(result.corrections.at(""), 500000000);
  ExpectWithin(result.total_ns, result.clock_ns, 0.02, "all samples");
}

// Renamed inside: the samples of before carry the old name.
TEST(ShortThreads, ARenamedSpanHasItsSamplesAlone) {
  const Result result = Profile("span_name", [&] {
    RunThreads(kThreads, [&](int) {
      SpanState* const state = SpanState::Create("GET");
      ASSERT_NE(state, nullptr);
      TraceContext context{};
      context.name = state;
      const TraceToken token = PushTraceContext(&context);
      test::BurnCpu(500000);
      state->SetName("GET /cart");
      test::BurnCpu(500000);
      EXPECT_TRUE(PopTraceContext(token));
      state->Unref();
    });
  });
  EXPECT_EQ(result.corrections.count("GET"), 0u);
  EXPECT_EQ(result.corrections.count("GET /cart"), 0u);
  ExpectWithin(result.total_ns, result.clock_ns, 0.02, "all samples");
}

// They never heard of this library and end between two scans.
TEST(ShortThreads, WithThreadsThatEndUnseenTheProfileHoldsTheProcesssClock) {
  const Result result =
      Profile("operation", [&] { RunThreads(kThreads, [](int) { test::BurnMs(1); }); });
  ExpectWithin(result.total_ns, result.clock_ns, 0.02, "all samples");
  EXPECT_EQ(result.corrections.size() - result.corrections.count(""), 0u);
}

}  // namespace
}  // namespace pprof
