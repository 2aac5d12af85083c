// Which labels and which attribute the spans of a wrapped provider get.
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <opentelemetry/sdk/trace/samplers/always_off.h>
#include <opentelemetry/trace/default_span.h>
#include <opentelemetry/trace/propagation/http_trace_context.h>

#include "tests/otelpyroscope/traced_program.h"

namespace otelpyroscope_test {
namespace {

using otelpyroscope::Options;
using otelpyroscope::ProfileIdAttribute;
using otelpyroscope::Scope;

trace::SpanContext RemoteCaller() {
  const std::uint8_t trace_id[16] = {1, 2, 3};
  const std::uint8_t span_id[8] = {4, 5, 6};
  return trace::SpanContext(trace::TraceId(trace_id), trace::SpanId(span_id),
                            trace::TraceFlags(trace::TraceFlags::kIsSampled), true);
}

TEST(Labels, ScopeLabelsAndTakesAway) {
  Program program;
  const Span root = program.Start("root");
  EXPECT_TRUE(Unlabelled());
  {
    const trace::Scope scope(root);
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
    EXPECT_EQ(TraceIdLabel(), TraceOf(root));
    EXPECT_EQ(SpanNameLabel(), "root");
  }
  EXPECT_TRUE(Unlabelled());
}

TEST(Labels, ChildrenCarryTheirRoot) {
  Program program;
  const Span root = program.Start("root");
  const trace::Scope outer(root);
  const Span child = program.Start("child");
  {
    const trace::Scope inner(child);
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
    EXPECT_EQ(SpanNameLabel(), "root");
    EXPECT_EQ(Hex(pprof::CurrentTraceContext()->span_id), IdOf(child));
    const Span grandchild = program.Start("grandchild");
    const trace::Scope innermost(grandchild);
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
  }
  EXPECT_EQ(Hex(pprof::CurrentTraceContext()->span_id), IdOf(root));
}

TEST(Labels, AllSpansCarryTheirOwn) {
  Options options;
  options.span_id_label_scope = options.span_name_label_scope = Scope::kAllSpans;
  Program program(options);
  const Span root = program.Start("root");
  const trace::Scope outer(root);
  const Span child = program.Start("child");
  const trace::Scope inner(child);
  EXPECT_EQ(SpanIdLabel(), IdOf(child));
  EXPECT_EQ(SpanNameLabel(), "child");
  root->End();
  child->End();
  EXPECT_EQ(program.Ended("root").profile_id, IdOf(root));
  EXPECT_EQ(program.Ended("child").profile_id, IdOf(child));
}

TEST(Labels, ScopeNoneLeavesTheTraceId) {
  Options options;
  options.span_id_label_scope = options.span_name_label_scope = Scope::kNone;
  Program program(options);
  const Span root = program.Start("root");
  const trace::Scope scope(root);
  EXPECT_EQ(SpanIdLabel(), "");
  EXPECT_EQ(SpanNameLabel(), "");
  EXPECT_EQ(TraceIdLabel(), TraceOf(root));
  root->End();
  EXPECT_EQ(program.Ended("root").profile_id, "");
}

TEST(Labels, TraceIdCanBeSwitchedOff) {
  Options options;
  options.trace_id_label = false;
  Program program(options);
  const Span root = program.Start("root");
  const trace::Scope scope(root);
  EXPECT_EQ(TraceIdLabel(), "");
  EXPECT_EQ(SpanIdLabel(), IdOf(root));
}

TEST(Labels, AttributeStandsOnLocalRootsAlone) {
  Program program;
  const Span root = program.Start("root");
  {
    const trace::Scope scope(root);
    program.Start("child")->End();
  }
  root->End();
  EXPECT_EQ(program.Ended("root").profile_id, IdOf(root));
  EXPECT_EQ(program.Ended("child").name, "child");
  EXPECT_EQ(program.Ended("child").profile_id, "");
}

TEST(Labels, RemoteParentMakesALocalRoot) {
  Program program;
  const Span span = program.Start("server", RemoteCaller());
  EXPECT_EQ(TraceOf(span), Hex(RemoteCaller().trace_id()));
  const trace::Scope scope(span);
  EXPECT_EQ(SpanIdLabel(), IdOf(span));
  EXPECT_EQ(SpanNameLabel(), "server");
}

TEST(Labels, AttachedRemoteCallerIsNoSpanOfOurs) {
  Program program;
  const Span caller(new trace::DefaultSpan(RemoteCaller()));
  const trace::Scope outer(caller);
  EXPECT_TRUE(Unlabelled());
  const Span server = program.Start("server");
  const trace::Scope inner(server);
  EXPECT_EQ(SpanIdLabel(), IdOf(server));
  const Span child = program.Start("child");
  const trace::Scope innermost(child);
  EXPECT_EQ(SpanIdLabel(), IdOf(server));
}

TEST(Labels, SpanContextParentIsFoundByItsIds) {
  Program program;
  const Span root = program.Start("root");
  const trace::Scope outer(root);
  const Span other = program.Start("other", RemoteCaller());
  const trace::Scope covering(other);
  const Span child = program.Start("child", root->GetContext());
  const trace::Scope inner(child);
  EXPECT_EQ(SpanIdLabel(), IdOf(root));
  EXPECT_EQ(SpanNameLabel(), "root");
}

TEST(Labels, UnknownSpanContextParentMakesALocalRoot) {
  Program program;
  const Span root = program.Start("root");  // attached nowhere
  const Span child = program.Start("child", root->GetContext());
  EXPECT_EQ(TraceOf(child), TraceOf(root));
  const trace::Scope scope(child);
  EXPECT_EQ(SpanIdLabel(), IdOf(child));
}

TEST(Labels, ContextParentCountsFromAnyThread) {
  Program program;
  const Span root = program.Start("root");
  context::Context empty;
  const context::Context parent = trace::SetSpan(empty, root);
  std::thread([&] {
    const Span child = program.Start("child", parent);
    const trace::Scope scope(child);
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
  }).join();
}

TEST(Labels, RootSpanContextMakesANewTrace) {
  Program program;
  const Span root = program.Start("root");
  const trace::Scope outer(root);
  const Span fresh = program.Start("fresh", context::Context(trace::kIsRootSpanKey, true));
  EXPECT_NE(TraceOf(fresh), TraceOf(root));
  const trace::Scope inner(fresh);
  EXPECT_EQ(SpanIdLabel(), IdOf(fresh));
  EXPECT_EQ(SpanNameLabel(), "fresh");
}

TEST(Labels, UnsampledSpanHasItsNameOnly) {
  Program program({}, std::make_unique<sdk::AlwaysOffSampler>());
  const Span root = program.Start("root");
  const trace::Scope outer(root);
  EXPECT_EQ(SpanNameLabel(), "root");
  EXPECT_EQ(SpanIdLabel(), "");
  EXPECT_EQ(TraceIdLabel(), "");
  const Span child = program.Start("child");
  const trace::Scope inner(child);
  EXPECT_EQ(SpanNameLabel(), "root");
  EXPECT_EQ(SpanIdLabel(), "");
}

// Under a sampled caller a dropped span inherits the sampled flag before 1.24.
TEST(Labels, RecordedOnlyAndDroppedRootsAreNotSampled) {
  Program program({}, std::make_unique<NameSampler>());
  for (const Span& root : {program.Start("recorded"), program.Start("dropped", RemoteCaller())}) {
    const trace::Scope scope(root);
    EXPECT_EQ(SpanIdLabel(), "");
    EXPECT_EQ(TraceIdLabel(), "");
    EXPECT_NE(SpanNameLabel(), "");
    root->End();
  }
  EXPECT_EQ(program.Ended("recorded").name, "recorded");
  EXPECT_EQ(program.Ended("recorded").profile_id, "");
}

// A span that is only recorded keeps its caller's sampled flag before 1.24, and the SDK exports it:
// by all that the API shows it is sampled. Its labels and its attribute follow what it shows.
TEST(Labels, RecordedOnlyUnderASampledCallerIsWhatItShows) {
  Program program({}, std::make_unique<NameSampler>());
  const Span root = program.Start("recorded", RemoteCaller());
  const bool shows_sampled = root->GetContext().IsSampled();
#if OPENTELEMETRY_VERSION_MAJOR == 1 && OPENTELEMETRY_VERSION_MINOR < 24
  EXPECT_TRUE(shows_sampled);
#else
  EXPECT_FALSE(shows_sampled);
#endif
  {
    const trace::Scope scope(root);
    EXPECT_EQ(SpanIdLabel(), shows_sampled ? IdOf(root) : "");
    EXPECT_EQ(SpanNameLabel(), "recorded");
  }
  root->End();
  EXPECT_EQ(program.Ended("recorded").name, "recorded");
  EXPECT_EQ(program.Ended("recorded").profile_id, shows_sampled ? IdOf(root) : "");
}

TEST(Labels, DroppedChildRunsUnderItsSampledRoot) {
  Program program({}, std::make_unique<NameSampler>());
  const Span root = program.Start("root");
  const trace::Scope outer(root);
  const Span child = program.Start("dropped");
  const trace::Scope inner(child);
  EXPECT_EQ(SpanIdLabel(), IdOf(root));
}

TEST(Labels, SampledChildOfADroppedRootIsSampled) {
  Program program({}, std::make_unique<NameSampler>());
  const Span root = program.Start("dropped");
  const trace::Scope outer(root);
  EXPECT_EQ(TraceIdLabel(), "");
  const Span child = program.Start("child");
  ASSERT_EQ(TraceOf(child), TraceOf(root));
  const trace::Scope inner(child);
  EXPECT_EQ(TraceIdLabel(), TraceOf(child));
  EXPECT_EQ(SpanIdLabel(), IdOf(root));
}

TEST(Labels, DroppedChildHasNoIdsWhereEachSpanHasItsOwn) {
  Options options;
  options.span_id_label_scope = Scope::kAllSpans;
  Program program(options, std::make_unique<NameSampler>());
  const Span root = program.Start("root");
  const trace::Scope outer(root);
  const Span child = program.Start("dropped");
  const trace::Scope inner(child);
  EXPECT_EQ(SpanIdLabel(), "");
  EXPECT_EQ(TraceIdLabel(), "");
}

TEST(Labels, IfProfiledSetsTheAttributeAfterASample) {
  for (const Scope scope : {Scope::kRootSpan, Scope::kAllSpans}) {
    Options options;
    options.span_id_label_scope = scope;
    options.profile_id_attribute = ProfileIdAttribute::kIfProfiled;
    Program program(options);
    const Span with = program.Start("with");
    {
      const trace::Scope outer(with);
      const Span child = program.Start("child");
      const trace::Scope inner(child);
      ASSERT_NE(pprof::CurrentTraceContext()->id, nullptr);
      pprof::CurrentTraceContext()->id->MarkSampled();
      child->End();
    }
    with->End();
    { program.Start("without"); }  // ends itself
    const bool own = scope == Scope::kAllSpans;
    EXPECT_EQ(program.Ended("with").profile_id.empty(), own);
    EXPECT_EQ(program.Ended("child").profile_id.empty(), !own);
    EXPECT_EQ(program.Ended("without").name, "without");
    EXPECT_EQ(program.Ended("without").profile_id, "");
  }
}

TEST(Labels, IfProfiledHoldsForSpansThatEndThemselves) {
  Options options;
  options.profile_id_attribute = ProfileIdAttribute::kIfProfiled;
  options.span_name_label_scope = Scope::kNone;
  Program program(options);
  std::string id;
  {
    const Span span = program.Start("span");
    id = IdOf(span);
    const trace::Scope scope(span);
    pprof::CurrentTraceContext()->id->MarkSampled();
  }
  EXPECT_EQ(program.Ended("span").profile_id, id);
}

TEST(Labels, IfProfiledDoesNotSeeASampleAfterTheEnd) {
  Options options;
  options.profile_id_attribute = ProfileIdAttribute::kIfProfiled;
  Program program(options);
  const Span span = program.Start("span");
  const trace::Scope scope(span);
  span->End();
  ASSERT_NE(pprof::CurrentTraceContext()->id, nullptr);
  pprof::CurrentTraceContext()->id->MarkSampled();
  EXPECT_EQ(program.Ended("span").profile_id, "");
}

TEST(Labels, UpdateNameOfTheRootIsSeenAtOnce) {
  Program program;
  const Span root = program.Start("root");
  const trace::Scope outer(root);
  const Span child = program.Start("child");
  const trace::Scope inner(child);
  child->UpdateName("renamed child");
  EXPECT_EQ(SpanNameLabel(), "root");
  root->UpdateName("GET /orders");
  EXPECT_EQ(SpanNameLabel(), "GET /orders");
  root->End();
  root->UpdateName("too late");
  EXPECT_EQ(SpanNameLabel(), "GET /orders");
  EXPECT_EQ(program.Ended("GET /orders").name, "GET /orders");
}

TEST(Labels, EndedSpanKeepsItsLabelsUntilDetach) {
  Program program;
  const Span root = program.Start("root");
  {
    const trace::Scope scope(root);
    std::thread([&] { root->End(); }).join();
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
  }
  EXPECT_TRUE(Unlabelled());
}

TEST(Labels, OtherSpansStayUnderOurRootOfTheSameTrace) {
  Program program;
  const Span root = program.Start("root");
  const trace::Scope outer(root);
  const Span other = program.plain_tracer->StartSpan("other");
  {
    const trace::Scope inner(other);
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
    EXPECT_EQ(SpanNameLabel(), "root");
    const Span child = program.Start("child");
    const trace::Scope innermost(child);
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
  }
  trace::StartSpanOptions options;
  options.parent = RemoteCaller();
  const Span elsewhere = program.plain_tracer->StartSpan("elsewhere", options);
  const trace::Scope inner(elsewhere);
  EXPECT_EQ(SpanIdLabel(), IdOf(elsewhere));
  EXPECT_EQ(SpanNameLabel(), "");
  const Span child = program.Start("child");
  const trace::Scope innermost(child);
  EXPECT_EQ(SpanIdLabel(), IdOf(child)) << "a parent that is not ours counts as none";
}

TEST(Labels, OtherSpansCarryTheirOwnIdsWhereEachSpanDoes) {
  Options options;
  options.span_id_label_scope = options.span_name_label_scope = Scope::kAllSpans;
  Program program(options);
  const Span root = program.Start("root");
  const trace::Scope outer(root);
  const Span other = program.plain_tracer->StartSpan("other");
  const trace::Scope inner(other);
  EXPECT_EQ(SpanIdLabel(), IdOf(other));
  EXPECT_EQ(SpanNameLabel(), "");
}

TEST(Labels, NullAndInvalidSpansMeanNoLabels) {
  Program program;
  const Span root = program.Start("root");
  const trace::Scope outer(root);
  const Span invalid(new trace::DefaultSpan(trace::SpanContext::GetInvalid()));
  {
    const trace::Scope inner(invalid);
    EXPECT_TRUE(Unlabelled());
  }
  {
    const trace::Scope inner((Span()));
    EXPECT_TRUE(Unlabelled());
  }
  EXPECT_EQ(SpanIdLabel(), IdOf(root));
}

class HeaderCarrier final : public context::propagation::TextMapCarrier {
 public:
  nostd::string_view Get(nostd::string_view) const noexcept override { return traceparent_; }
  void Set(nostd::string_view key, nostd::string_view value) noexcept override {
    if (key == nostd::string_view("traceparent")) traceparent_ = std::string(value);
  }
  const std::string& traceparent() const { return traceparent_; }

 private:
  std::string traceparent_;
};

TEST(Labels, PropagatorsSeeTheSpan) {
  Program program;
  const Span root = program.Start("root");
  const trace::Scope scope(root);
  HeaderCarrier carrier;
  trace::propagation::HttpTraceContext().Inject(carrier, context::RuntimeContext::GetCurrent());
  EXPECT_EQ(carrier.traceparent(), "00-" + TraceOf(root) + "-" + IdOf(root) + "-01");
  EXPECT_EQ(trace::Tracer::GetCurrentSpan(), root);
}

TEST(Guard, LabelsWithoutMakingCurrent) {
  Program program;
  const Span root = program.Start("root");
  {
    const otelpyroscope::SpanGuard guard(root);
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
    EXPECT_FALSE(trace::Tracer::GetCurrentSpan()->GetContext().IsValid());
    const Span child = program.Start("child", root->GetContext());
    const otelpyroscope::SpanGuard inner(child);
    EXPECT_EQ(SpanIdLabel(), IdOf(root)) << "the parent is found by its ids";
    const otelpyroscope::SpanGuard none((Span()));
    EXPECT_TRUE(Unlabelled());
  }
  EXPECT_TRUE(Unlabelled());
}

TEST(Guard, OutlivesItsSpan) {
  Program program;
  Span root = program.Start("root");
  const std::string id = IdOf(root);
  const otelpyroscope::SpanGuard guard(root);
  root = Span();
  EXPECT_EQ(SpanIdLabel(), id);
  EXPECT_EQ(SpanNameLabel(), "root");
}

TEST(Guard, DestroyedElsewhereDoesNothingThere) {
  Program program;
  const Span root = program.Start("root");
  alignas(otelpyroscope::SpanGuard) unsigned char memory[sizeof(otelpyroscope::SpanGuard)];
  auto* guard = ::new (static_cast<void*>(memory)) otelpyroscope::SpanGuard(root);
  std::thread([&] {
    const Span other = program.Start("other");
    const trace::Scope scope(other);
    guard->~SpanGuard();
    EXPECT_EQ(SpanIdLabel(), IdOf(other));
  }).join();
}

}  // namespace
}  // namespace otelpyroscope_test
