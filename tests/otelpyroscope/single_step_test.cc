// One attach and one detach of a real trace::Scope, one instruction at a time: what the signal
// handler would see at each of them is the labels before, the labels after, or none, and it changes
// from the one to the other once. On the thread's record itself, as the handler reads it.
#include <cstdint>
#include <cstring>
#include <optional>
#include <thread>

#include <gtest/gtest.h>

#include "src/pprof/labels/thread.h"
#include "tests/otelpyroscope/traced_program.h"
#include "tests/support/single_step_x86_64.h"

namespace otelpyroscope_test {
namespace {

// What a sample takes from a trace context; all zero: no labels.
struct Seen {
  std::uint8_t trace_id[16];
  std::uint8_t span_id[8];
  std::uint8_t label_span_id[8];
  std::uint8_t labels;
  const char* name;
};

// Async-signal-safe.
Seen SeenByHandler() {
  Seen seen{};
  const pprof::labels::ThreadState* thread = pprof::labels::t_state;
  if (thread == nullptr) return seen;
  const pprof::TraceContext* now = thread->record->trace_context.load(std::memory_order_relaxed);
  if (now == nullptr) return seen;
  std::memcpy(seen.trace_id, now->trace_id, sizeof(seen.trace_id));
  std::memcpy(seen.span_id, now->span_id, sizeof(seen.span_id));
  std::memcpy(seen.label_span_id, now->label_span_id, sizeof(seen.label_span_id));
  seen.labels = now->labels;
  seen.name = now->name == nullptr ? nullptr : now->name->name()->text;
  return seen;
}

bool Same(const Seen& a, const Seen& b) {
  return std::memcmp(a.trace_id, b.trace_id, sizeof(a.trace_id)) == 0 &&
         std::memcmp(a.span_id, b.span_id, sizeof(a.span_id)) == 0 &&
         std::memcmp(a.label_span_id, b.label_span_id, sizeof(a.label_span_id)) == 0 &&
         a.labels == b.labels && a.name == b.name;
}

Seen g_before;
Seen g_after;
volatile int g_mixed = 0;    // neither before, after nor none
volatile int g_back = 0;     // before once more, when after was seen
volatile int g_changed = 0;  // instructions at which after was seen

void Check() {
  const Seen now = SeenByHandler();
  if (Same(now, g_after)) {
    g_changed = g_changed + 1;
  } else if (Same(now, g_before)) {
    if (g_changed > 0) g_back = g_back + 1;
  } else if (!Same(now, Seen{})) {
    g_mixed = g_mixed + 1;
  }
}

// `step` must lead from the labels of this moment to `after`.
template <class F>
void ExpectOneChange(const char* what, const Seen& after, F step) {
  g_before = SeenByHandler();
  g_after = after;
  g_mixed = g_back = g_changed = 0;
  ASSERT_FALSE(Same(g_before, g_after)) << what;
  const std::uint64_t steps = test::SingleStep(step, Check);
  EXPECT_GT(steps, 100u) << what;
  EXPECT_EQ(g_mixed, 0) << what << " in " << steps << " instructions";
  EXPECT_EQ(g_back, 0) << what << " in " << steps << " instructions";
  EXPECT_GT(g_changed, 0) << what;
  EXPECT_TRUE(Same(SeenByHandler(), after)) << what;
}

// The labels of a span that is made current now.
Seen LabelsUnder(const Span& span) {
  const trace::Scope scope(span);
  return SeenByHandler();
}

void StepThroughAScope(const char* what, const Span& span) {
  const Seen before = SeenByHandler();
  const Seen inside = LabelsUnder(span);
  std::optional<trace::Scope> scope;
  ExpectOneChange(what, inside, [&] { scope.emplace(span); });
  ExpectOneChange(what, before, [&] { scope.reset(); });
}

TEST(SingleStep, ScopeOfARootOverNothing) {
  Program program;
  StepThroughAScope("root", program.Start("root"));
}

TEST(SingleStep, ScopeUnderAnotherTrace) {
  Program program;
  const trace::Scope outer(program.Start("outer"));
  trace::StartSpanOptions options;
  options.parent = context::Context(trace::kIsRootSpanKey, true);
  const Span inner = program.tracer->StartSpan("inner", options);
  StepThroughAScope("another trace", inner);
  StepThroughAScope("none", Span());
}

TEST(SingleStep, ScopeOfAChild) {
  Program program;
  const trace::Scope outer(program.Start("outer"));
  StepThroughAScope("child", program.Start("child"));
  StepThroughAScope("not ours", program.plain_tracer->StartSpan("other"));
}

TEST(SingleStep, GuardAndFirstUseOnAThread) {
  Program program;
  const Span span = program.Start("span");
  const Seen inside = LabelsUnder(span);
  std::thread([&] {
    std::optional<trace::Scope> scope;
    ExpectOneChange("first attach", inside, [&] { scope.emplace(span); });
    ExpectOneChange("first detach", Seen{}, [&] { scope.reset(); });
    std::optional<otelpyroscope::SpanGuard> guard;
    ExpectOneChange("guard", inside, [&] { guard.emplace(span); });
    ExpectOneChange("end of guard", Seen{}, [&] { guard.reset(); });
  }).join();
}

// Outer first: what lies in between must not come up.
TEST(SingleStep, ScopesThatEndOutOfOrder) {
  Program program;
  const Span first = program.Start("first");
  std::optional<trace::Scope> outer(first);
  trace::StartSpanOptions options;
  options.parent = context::Context(trace::kIsRootSpanKey, true);
  const trace::Scope middle(program.tracer->StartSpan("middle", options));
  const trace::Scope top(program.tracer->StartSpan("top", options));
  ExpectOneChange("all three", Seen{}, [&] { outer.reset(); });
}

}  // namespace
}  // namespace otelpyroscope_test
