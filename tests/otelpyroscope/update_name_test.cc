// A new name of a span is a new name on the samples that carry its name, on every thread at once,
// until the span ends.
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <opentelemetry/sdk/trace/samplers/always_off.h>
#include <opentelemetry/trace/context.h>
#include <pprof/stats.h>

#include "tests/otelpyroscope/traced_program.h"

namespace otelpyroscope_test {
namespace {

using otelpyroscope::Options;

TEST(UpdateName, OfTheRootIsSeenOnEveryThreadUnderIt) {
  Program program;
  const Span root = program.Start("root");
  context::Context empty;
  const context::Context with_root = trace::SetSpan(empty, root);
  std::atomic<int> stage{0};
  std::thread other([&] {
    const Span child = program.Start("child", with_root);
    const trace::Scope scope(child);
    EXPECT_EQ(SpanNameLabel(), "root");
    stage = 1;
    while (stage != 2) std::this_thread::yield();
    EXPECT_EQ(SpanNameLabel(), "GET /orders") << "without another attach";
  });
  while (stage != 1) std::this_thread::yield();
  root->UpdateName("GET /orders");  // made current nowhere
  stage = 2;
  other.join();
  const trace::Scope scope(root);
  EXPECT_EQ(SpanNameLabel(), "GET /orders");
}

TEST(UpdateName, OfAChildChangesItsOwnNameAlone) {
  Options options;
  options.span_name_label_scope = otelpyroscope::Scope::kAllSpans;
  Program program(options);
  const Span root = program.Start("root");
  const trace::Scope outer(root);
  const Span child = program.Start("child");
  child->UpdateName("renamed");
  EXPECT_EQ(SpanNameLabel(), "root");
  {
    const trace::Scope inner(child);
    EXPECT_EQ(SpanNameLabel(), "renamed");
    root->UpdateName("other");
    EXPECT_EQ(SpanNameLabel(), "renamed");
  }
  EXPECT_EQ(SpanNameLabel(), "other");
}

TEST(UpdateName, OfAnUnsampledRoot) {
  Program program({}, std::make_unique<sdk::AlwaysOffSampler>());
  const Span root = program.Start("root");
  const trace::Scope scope(root);
  root->UpdateName("renamed");
  EXPECT_EQ(SpanNameLabel(), "renamed");
}

TEST(UpdateName, ReachesGuards) {
  Program program;
  const Span root = program.Start("root");
  const otelpyroscope::SpanGuard guard(root);
  root->UpdateName("renamed");
  EXPECT_EQ(SpanNameLabel(), "renamed");
}

TEST(UpdateName, WithoutANameLabelIsTheSpansOwnAffair) {
  Options options;
  options.span_name_label_scope = otelpyroscope::Scope::kNone;
  options.profile_id_attribute = otelpyroscope::ProfileIdAttribute::kIfProfiled;
  Program program(options);
  const Span root = program.Start("root");
  const trace::Scope scope(root);
  root->UpdateName("renamed");
  EXPECT_EQ(SpanNameLabel(), "");
  root->End();
  EXPECT_EQ(program.Ended("renamed").name, "renamed");
}

TEST(Guard, DestroyedElsewhereIsCountedAndEndsAtTheNextOperationHere) {
  Program program;
  const Span root = program.Start("root");
  const Span other = program.Start("other");
  const std::uint64_t before = pprof::ReadStats().scopes_misplaced;
  alignas(otelpyroscope::SpanGuard) unsigned char memory[sizeof(otelpyroscope::SpanGuard)];
  auto* guard = ::new (static_cast<void*>(memory)) otelpyroscope::SpanGuard(root);
  std::thread([&] { guard->~SpanGuard(); }).join();
  EXPECT_EQ(pprof::ReadStats().scopes_misplaced, before + 1);
  { const trace::Scope scope(other); }
  EXPECT_TRUE(Unlabelled());
}

}  // namespace
}  // namespace otelpyroscope_test
