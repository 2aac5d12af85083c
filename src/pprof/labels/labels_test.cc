#include <gtest/gtest.h>
#include <pprof/labels.h>
#include <pprof/trace_context.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "src/pprof/labels/label_data.h"
#include "src/pprof/labels/thread.h"
#include "src/pprof/labels/thread_registry.h"

namespace pprof {
namespace {

using Map = std::map<std::string, std::string>;

// What a sample of this thread would carry now: read from the record, as the handler does.
Map Published() {
  Map labels;
  labels::ThreadState* thread = labels::CurrentThread();
  const handler::LabelBlob* blob = thread->record->labels.load();
  if (blob == nullptr) return labels;
  internal::ForEachLabel(
      blob->words, blob->bytes,
      [&](std::string_view key, std::string_view value) { labels.emplace(key, value); });
  return labels;
}

std::uint64_t Dropped() { return labels::g_label_counters.labels_dropped.load(); }
std::uint64_t Misplaced() { return labels::g_label_counters.scopes_misplaced.load(); }

TraceContext Context(SpanState* name) {
  TraceContext context{};
  context.valid = 1;
  context.labels = kSpanIdLabel;
  context.label_span_id[7] = 7;
  context.name = name;
  return context;
}

TEST(Labels, LaterDuplicateWinsAndReservedKeysAreDroppedAndCounted) {
  const std::uint64_t before = Dropped();
  const LabelSet set = Labels({{"a", "1"},
                               {"b", "2"},
                               {"a", "3"},
                               {"span_id", "x"},
                               {"trace_id", "x"},
                               {"span_name", "x"},
                               {"profile_id", "x"},
                               {"", "x"}});
  EXPECT_EQ(set.Get("a"), "3");
  EXPECT_EQ(set.Get("b"), "2");
  EXPECT_EQ(set.Get("span_id"), "");
  EXPECT_EQ(Dropped() - before, 5u);
}

TEST(Labels, SetKeepsWhatFitsAndCountsTheRest) {
  const std::uint64_t before = Dropped();
  const std::string big(1500, 'x');
  const LabelSet set = Labels({{"first", big}, {"second", big}, {"third", "small"}});
  EXPECT_EQ(set.Get("first"), big);
  EXPECT_EQ(set.Get("second"), "");
  EXPECT_EQ(set.Get("third"), "small");
  EXPECT_EQ(Dropped() - before, 1u);
}

TEST(LabelScope, MergesOverOuterAndRestores) {
  const LabelSet outer = Labels({{"tenant", "acme"}, {"step", "parse"}});
  const LabelSet inner = Labels({{"step", "sort"}});
  for (int round = 0; round < 3; ++round) {  // the second round comes from the merge cache
    LabelScope a(outer);
    EXPECT_EQ(Published(), (Map{{"tenant", "acme"}, {"step", "parse"}}));
    {
      LabelScope b(inner);
      EXPECT_EQ(Published(), (Map{{"tenant", "acme"}, {"step", "sort"}}));
    }
    EXPECT_EQ(Published(), (Map{{"tenant", "acme"}, {"step", "parse"}}));
  }
  EXPECT_EQ(Published(), Map{});
}

TEST(LabelScope, KeepsATemporarySetAlive) {
  LabelScope scope(Labels({{"k", std::string(100, 'v')}}));
  std::vector<LabelSet> churn;
  for (int i = 0; i < 100; ++i) churn.push_back(Labels({{"k", std::string(100, 'w')}}));
  EXPECT_EQ(Published(), (Map{{"k", std::string(100, 'v')}}));
}

TEST(LabelScope, ManyDifferentSetsNestedDeeplyAllRestore) {
  std::vector<std::unique_ptr<std::optional<LabelScope>>> scopes;
  Map expected;
  for (int i = 0; i < 40; ++i) {  // more than the merge cache holds
    const std::string key = "k" + std::to_string(i);
    scopes.push_back(std::make_unique<std::optional<LabelScope>>());
    scopes.back()->emplace(Labels({{key, "v"}}));
    expected[key] = "v";
    ASSERT_EQ(Published(), expected);
  }
  while (!scopes.empty()) {
    scopes.pop_back();
    expected.erase("k" + std::to_string(scopes.size()));
    ASSERT_EQ(Published(), expected);
  }
}

TEST(LabelScope, OuterDestroyedFirstTakesOnlyItsOwnLabels) {
  std::optional<LabelScope> a;
  std::optional<LabelScope> b;
  std::optional<LabelScope> c;
  a.emplace(Labels({{"a", "1"}}));
  b.emplace(Labels({{"b", "2"}}));
  c.emplace(Labels({{"c", "3"}}));
  a.reset();
  EXPECT_EQ(Published(), (Map{{"b", "2"}, {"c", "3"}}));
  b.reset();
  EXPECT_EQ(Published(), (Map{{"c", "3"}}));
  c.reset();
  EXPECT_EQ(Published(), Map{});
}

TEST(LabelScope, DestroyedOnAnotherThreadHasNoEffectThereAndIsCounted) {
  const std::uint64_t before = Misplaced();
  std::thread([&] {
    std::optional<LabelScope> scope;
    scope.emplace(Labels({{"here", "1"}}));
    std::thread([&] {
      LabelScope own(Labels({{"there", "2"}}));
      scope.reset();
      EXPECT_EQ(Published(), (Map{{"there", "2"}}));
    }).join();
    EXPECT_EQ(Misplaced() - before, 1u);
    LabelScope next(
        Labels({{"next", "3"}}));  // the labels go at the next operation of their own thread
    EXPECT_EQ(Published(), (Map{{"next", "3"}}));
  }).join();
}

TEST(LabelScope, NewThreadStartsUnlabelled) {
  LabelScope scope(Labels({{"k", "v"}}));
  std::thread([] { EXPECT_EQ(Published(), Map{}); }).join();
}

TEST(LabelSnapshot, CarriesLabelsAndTraceContextToAnotherThread) {
  SpanState* state = SpanState::Create("checkout");
  const TraceContext context = Context(state);
  LabelSnapshot snapshot;
  {
    const TraceToken token = PushTraceContext(&context);
    LabelScope scope(Labels({{"k", "v"}}));
    snapshot = CurrentLabels();
    EXPECT_TRUE(PopTraceContext(token));
  }
  state->Unref();  // the snapshot alone keeps the name
  std::thread([&] {
    LabelScope outer(Labels({{"other", "x"}}));
    {
      LabelScope scope(snapshot);
      EXPECT_EQ(Published(), (Map{{"k", "v"}}));
      ASSERT_NE(CurrentTraceContext(), nullptr);
      EXPECT_EQ(CurrentTraceContext()->label_span_id[7], 7);
      EXPECT_EQ(std::string(CurrentTraceContext()->name->name()->text, 8), "checkout");
    }
    EXPECT_EQ(Published(), (Map{{"other", "x"}}));
    EXPECT_EQ(CurrentTraceContext(), nullptr);
  }).join();
}

TEST(LabelSnapshot, EmptyOneHidesLabelsAndContext) {
  const TraceContext context = Context(nullptr);
  const TraceToken token = PushTraceContext(&context);
  LabelScope scope(Labels({{"k", "v"}}));
  {
    LabelScope hidden{LabelSnapshot()};
    EXPECT_EQ(Published(), Map{});
    EXPECT_EQ(CurrentTraceContext(), nullptr);
  }
  EXPECT_EQ(Published(), (Map{{"k", "v"}}));
  EXPECT_EQ(CurrentTraceContext(), &context);
  EXPECT_TRUE(PopTraceContext(token));
}

TEST(Do, ReturnsWhatTheFunctionReturns) {
  int value = 5;
  int& result = Do(Labels({{"k", "v"}}), [&]() -> int& {
    EXPECT_EQ(Published(), (Map{{"k", "v"}}));
    return value;
  });
  EXPECT_EQ(&result, &value);
}

TEST(TraceContext, PopFromTheMiddleKeepsTheTop) {
  const TraceContext a = Context(nullptr);
  const TraceContext b = Context(nullptr);
  const TraceToken token_a = PushTraceContext(&a);
  const TraceToken token_b = PushTraceContext(&b);
  EXPECT_TRUE(PopTraceContext(token_a));
  EXPECT_EQ(CurrentTraceContext(), &b);
  EXPECT_TRUE(PopTraceContext(token_b));
  EXPECT_EQ(CurrentTraceContext(), nullptr);
  EXPECT_FALSE(PopTraceContext(token_b));
}

TEST(TraceContext, SameContextPushedTwiceStaysUntilItsLastPop) {
  const TraceContext a = Context(nullptr);
  const TraceToken first = PushTraceContext(&a);
  const TraceToken second = PushTraceContext(&a);
  EXPECT_TRUE(PopTraceContext(first));
  EXPECT_EQ(CurrentTraceContext(), &a);
  EXPECT_TRUE(PopTraceContext(second));
  EXPECT_EQ(CurrentTraceContext(), nullptr);
}

TEST(TraceContext, TokenOfAnotherThreadPopsNothing) {
  const TraceContext a = Context(nullptr);
  const TraceToken token = PushTraceContext(&a);
  std::thread([&] {
    const TraceContext b = Context(nullptr);
    const TraceToken own = PushTraceContext(&b);
    EXPECT_FALSE(PopTraceContext(token));
    EXPECT_EQ(CurrentTraceContext(), &b);
    EXPECT_TRUE(PopTraceContext(own));
  }).join();
  EXPECT_TRUE(PopTraceContext(token));
}

TEST(TraceContext, TokensOfARecycledRecordStayUnique) {
  // Each thread takes the record that the last one freed; a token kept from an ended thread must
  // not fit.
  TraceToken kept = 0;
  const TraceContext context = Context(nullptr);
  std::thread([&] { kept = PushTraceContext(&context); }).join();
  std::thread([&] {
    const TraceToken own = PushTraceContext(&context);
    EXPECT_NE(own, kept);
    EXPECT_FALSE(PopTraceContext(kept));
    EXPECT_TRUE(PopTraceContext(own));
  }).join();
}

TEST(SpanState, NameChangesAreSeenAndLongNamesAreCutAtACharacter) {
  SpanState* state = SpanState::Create("a");
  const SpanName* first = state->name();
  state->SetName(std::string(254, 'x') + "\xc3\xa9");
  EXPECT_EQ(state->name()->size, 254u);
  EXPECT_EQ(std::string(first->text, first->size), "a");  // old readers keep theirs
  state->SetName("");
  EXPECT_EQ(state->name()->size, 0u);
  state->Unref();
}

TEST(SpanState, RenamingInALoopTakesNoMoreThanSoManyNames) {
  const std::uint64_t dropped = Dropped();
  SpanState* state = SpanState::Create("0");
  for (std::uint32_t i = 1; i < kMaxSpanNames + 10; ++i) state->SetName(std::to_string(i));
  const SpanName* name = state->name();
  EXPECT_EQ(std::string(name->text, name->size), std::to_string(kMaxSpanNames - 1));
  EXPECT_EQ(Dropped(), dropped + 10);
  state->Unref();
}

thread_local struct LabelsInDestructor {
  ~LabelsInDestructor() { LabelScope scope(Labels({{"late", "1"}})); }
  int used = 0;
} t_late;

TEST(ThreadEnd, LabelsInOtherThreadLocalDestructorsAreSafeAndRecordsAreReused) {
  const std::uint32_t before = labels::ThreadRegistry::Get().high_water();
  for (int i = 0; i < 100; ++i) {
    std::thread([] {
      t_late.used = 1;
      LabelScope scope(Labels({{"k", "v"}}));
    }).join();
  }
  EXPECT_LE(labels::ThreadRegistry::Get().high_water(), before + 1);
}

}  // namespace
}  // namespace pprof
