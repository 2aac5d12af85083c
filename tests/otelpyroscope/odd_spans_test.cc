// Spans that come as the SDK never makes them: remote ones of this very trace, ones that ignore
// their parent, ones whose last owner is the context that is detached.

#include <gtest/gtest.h>

#include <cstdint>

#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/trace/default_span.h>
#include <opentelemetry/trace/scope.h>
#include <opentelemetry/trace/span_metadata.h>
#include <opentelemetry/trace/tracer_provider.h>

#include "tests/otelpyroscope/traced_program.h"

namespace otelpyroscope_test {
namespace {

// Of the very trace that runs here: its CPU time is not this process's root's.
TEST(OddSpans, RemoteCallerOfTheSameTraceIsNoSpanOfOursEither) {
  Program program;
  const Span root = program.Start("root");
  const trace::Scope outer(root);
  const std::uint8_t id[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  const trace::SpanContext remote(root->GetContext().trace_id(), trace::SpanId(id),
                                  trace::TraceFlags(trace::TraceFlags::kIsSampled), true);
  {
    const trace::Scope attached(Span(new trace::DefaultSpan(remote)));
    EXPECT_TRUE(Unlabelled());
  }
  EXPECT_EQ(SpanIdLabel(), IdOf(root));
}

// An inner provider that does not follow the parent that it is given.
class TracerOfOtherTraces final : public trace::Tracer {
 public:
  Span StartSpan(nostd::string_view, const opentelemetry::common::KeyValueIterable&,
                 const trace::SpanContextKeyValueIterable&,
                 const trace::StartSpanOptions&) noexcept override {
    const std::uint8_t trace_id[16] = {0xaa, ++traces_};
    const std::uint8_t span_id[8] = {0xbb, traces_};
    return Span(new trace::DefaultSpan(
        trace::SpanContext(trace::TraceId(trace_id), trace::SpanId(span_id),
                           trace::TraceFlags(trace::TraceFlags::kIsSampled), false)));
  }
#if OPENTELEMETRY_ABI_VERSION_NO == 1
  void ForceFlushWithMicroseconds(std::uint64_t) noexcept override {}
  void CloseWithMicroseconds(std::uint64_t) noexcept override {}
#endif

 private:
  std::uint8_t traces_ = 0;
};

class ProviderOfOtherTraces final : public trace::TracerProvider {
 public:
  nostd::shared_ptr<trace::Tracer> GetTracer(nostd::string_view, nostd::string_view,
                                             nostd::string_view
#if OPENTELEMETRY_ABI_VERSION_NO >= 2
                                             ,
                                             const opentelemetry::common::KeyValueIterable*
#endif
                                             ) noexcept override {
    return nostd::shared_ptr<trace::Tracer>(new TracerOfOtherTraces());
  }
};

TEST(OddSpans, ParentOfAnotherTraceIsNoLocalRoot) {
  Program program;
  const Span root = program.Start("root");
  const trace::Scope outer(root);
  const auto wrapped = otelpyroscope::NewTracerProvider(
      nostd::shared_ptr<trace::TracerProvider>(new ProviderOfOtherTraces()));
  const Span other = wrapped->GetTracer("other")->StartSpan("other");
  const trace::Scope inner(other);
  EXPECT_EQ(SpanNameLabel(), "other");  // not "root"
  EXPECT_EQ(SpanIdLabel(), "");         // it is not recorded
}

// The context stack holds the last reference: the span goes with its detach, after its labels.
TEST(OddSpans, SpanThatGoesWithItsContextIsNotPublishedAnyMore) {
  Program program;
  const Span root = program.Start("root");
  const trace::Scope outer(root);
  {
    const auto token = context::RuntimeContext::Attach(
        context::RuntimeContext::GetCurrent().SetValue(trace::kSpanKey, program.Start("held")));
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
  }
  const EndedSpan held = program.Ended("held");
  EXPECT_EQ(held.name, "held");
  EXPECT_EQ(held.labelled, "root");
}

TEST(OddSpans, SpanThatIsNamedByItselfGoesAfterItsLabels) {
  otelpyroscope::Options options;
  options.span_name_label_scope = otelpyroscope::Scope::kAllSpans;
  Program program(options);
  {
    const auto token = context::RuntimeContext::Attach(
        context::RuntimeContext::GetCurrent().SetValue(trace::kSpanKey, program.Start("held")));
    EXPECT_EQ(SpanNameLabel(), "held");
  }
  EXPECT_EQ(program.Ended("held").name, "held");
  EXPECT_EQ(program.Ended("held").labelled, "");
}

}  // namespace
}  // namespace otelpyroscope_test
