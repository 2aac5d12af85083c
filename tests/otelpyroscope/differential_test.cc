// Our context storages against the API's default one: a million random operations on several
// threads, the same return values and the same current context everywhere, and at each step the
// labels of what is current.
#include <gtest/gtest.h>
#include <opentelemetry/sdk/trace/processor.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/trace/default_span.h>
#include <opentelemetry/trace/span_metadata.h>
#include <otelpyroscope/otelpyroscope.h>
#include <pprof/trace_context.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "tests/otelpyroscope/context_operations.h"

namespace otelpyroscope_test {
namespace {

namespace nostd = opentelemetry::nostd;
namespace trace = opentelemetry::trace;
namespace sdk = opentelemetry::sdk::trace;
using opentelemetry::context::RuntimeContextStorage;

constexpr std::size_t kBeforeInstallation = 100'000;
constexpr std::size_t kRounds = 30;  // after the installation, each with contexts made anew
constexpr std::size_t kRound = 30'000;
using Span = nostd::shared_ptr<trace::Span>;
using Tracer = nostd::shared_ptr<trace::Tracer>;
using Log = std::vector<std::uint8_t>;

class DroppingProcessor final : public sdk::SpanProcessor {
 public:
  std::unique_ptr<sdk::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<sdk::SpanData>();
  }
  void OnStart(sdk::Recordable&, const trace::SpanContext&) noexcept override {}
  void OnEnd(std::unique_ptr<sdk::Recordable>&&) noexcept override {}
  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }
};

nostd::shared_ptr<trace::TracerProvider> NewProvider() {
  return nostd::shared_ptr<trace::TracerProvider>(std::shared_ptr<trace::TracerProvider>(
      std::make_shared<sdk::TracerProvider>(std::make_unique<DroppingProcessor>())));
}

// What an application has of its own: known to behave like the default, and not known to us.
class ApplicationStorage final : public RuntimeContextStorage {
 public:
  Context GetCurrent() noexcept override { return inner_.GetCurrent(); }
  ContextOperations::TokenPointer Attach(const Context& context) noexcept override {
    return inner_.Attach(context);
  }
  bool Detach(opentelemetry::context::Token& token) noexcept override {
    return inner_.Detach(token);
  }

 private:
  opentelemetry::context::ThreadLocalContextStorage inner_;
};

// Contexts as programs attach them; those from 8 on are made anew after the installation.
void FillContexts(const Tracer& tracer, std::size_t from, ContextOperations& operations) {
  auto& contexts = operations.contexts;
  const Span root = tracer->StartSpan("root");
  trace::StartSpanOptions under_root;
  under_root.parent = root->GetContext();
  const Span child = tracer->StartSpan("child", under_root);
  const auto identity = root->GetContext();
  const Span caller(new trace::DefaultSpan(trace::SpanContext(
      identity.trace_id(), identity.span_id(), identity.trace_flags(), /*is_remote=*/true)));
  contexts[from] = Context();
  contexts[from + 1] = Context("baggage", true);
  contexts[from + 2] = Context(trace::kSpanKey, root);
  contexts[from + 3] = contexts[from + 2].SetValue(trace::kSpanKey, child);
  contexts[from + 4] = Context(trace::kSpanKey, caller);
  contexts[from + 5] = contexts[from + 2];
  contexts[from + 6] = contexts[from + 2].SetValue("key", std::int64_t{1});
  contexts[from + 7] = Context(trace::kSpanKey, tracer->StartSpan("other root"));
}

// Runs the program; `install` says when it is time, and returns the tracer to go on with.
template <class Install>
Log RunProgram(const Tracer& tracer, Install install, int* mislabelled) {
  ContextOperations operations;
  FillContexts(tracer, 0, operations);
  FillContexts(tracer, 8, operations);
  operations.Operate(kBeforeInstallation);
  const Tracer later = install();
  if (mislabelled != nullptr) {
    operations.after_each = [&operations, mislabelled](std::uint8_t current) {
      if (current == ContextOperations::kUnknown) return;
      const pprof::TraceContext* now = pprof::CurrentTraceContext();
      const auto value = operations.contexts[current].GetValue(trace::kSpanKey);
      const auto* span = nostd::get_if<Span>(&value);
      if (span == nullptr || (*span)->GetContext().IsRemote()) {
        if (now != nullptr) ++*mislabelled;
        return;
      }
      const auto ids = (*span)->GetContext();
      const bool right = now != nullptr &&
                         std::memcmp(now->trace_id, ids.trace_id().Id().data(), 16) == 0 &&
                         std::memcmp(now->span_id, ids.span_id().Id().data(), 8) == 0;
      if (!right) ++*mislabelled;
    };
  }
  for (std::size_t round = 0; round < kRounds; ++round) {
    FillContexts(later, 8, operations);
    operations.Operate(kRound);
  }
  return operations.log();
}

void ExpectSame(const Log& expected, const Log& found) {
  ASSERT_EQ(expected.size(), found.size());
  const auto where = std::mismatch(expected.begin(), expected.end(), found.begin());
  EXPECT_TRUE(where.first == expected.end())
      << "operation " << (where.first - expected.begin()) / 2 << ": expected " << int{*where.first}
      << ", found " << int{*where.second};
  // The program did what it is meant to do: each outcome came up.
  for (const int outcome : {0, 1, 15, int{ContextOperations::kUnknown}}) {
    EXPECT_GT(std::count(expected.begin(), expected.end(), outcome), 20) << outcome;
  }
}

const Log& DefaultLog() {
  static const Log log = [] {
    const Tracer tracer = NewProvider()->GetTracer("plain");
    return RunProgram(
        tracer, [&] { return tracer; }, nullptr);
  }();
  return log;
}

TEST(Storage, InPlaceOfTheDefaultBehavesLikeIt) {
  const Log& expected = DefaultLog();  // before anything is installed
  const auto provider = NewProvider();
  const Tracer plain = provider->GetTracer("plain");
  nostd::shared_ptr<trace::TracerProvider> wrapped;
  int mislabelled = 0;
  const Log found = RunProgram(
      plain,
      [&] {
        wrapped = otelpyroscope::NewTracerProvider(provider);
        return wrapped->GetTracer("wrapped");
      },
      &mislabelled);
  EXPECT_TRUE(otelpyroscope::ContextStorageInstalled());
  ExpectSame(expected, found);
  EXPECT_EQ(mislabelled, 0);
}

TEST(Storage, OverAnApplicationsStorageBehavesLikeIt) {
  const Log& expected = DefaultLog();
  const auto provider = NewProvider();
  const Tracer plain = provider->GetTracer("plain");
  nostd::shared_ptr<trace::TracerProvider> wrapped = otelpyroscope::NewTracerProvider(provider);
  // Never freed, as the installer does it: threads that end late still detach.
  static const nostd::shared_ptr<RuntimeContextStorage> application(new ApplicationStorage);
  static const nostd::shared_ptr<RuntimeContextStorage> decorating(
      new otelpyroscope::internal::DecoratingStorage(application.get()));
  opentelemetry::context::RuntimeContext::SetRuntimeContextStorage(application);
  int mislabelled = 0;
  const Log found = RunProgram(
      plain,
      [&] {
        opentelemetry::context::RuntimeContext::SetRuntimeContextStorage(decorating);
        return wrapped->GetTracer("wrapped");
      },
      &mislabelled);
  ExpectSame(expected, found);
  EXPECT_EQ(mislabelled, 0);
}

}  // namespace
}  // namespace otelpyroscope_test
