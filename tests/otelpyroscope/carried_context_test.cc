// A request's context and labels on threads that it is handed to.
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <otelpyroscope/carried_context.h>
#include <pprof/labels.h>

#include "tests/otelpyroscope/traced_program.h"

namespace otelpyroscope_test {
namespace {

using otelpyroscope::CarriedContext;
using otelpyroscope::CarriedScope;

std::string Vehicle() { return std::string(pprof::CurrentLabels().labels().Get("vehicle")); }

template <class F>
void OnAnotherThread(F&& run) {
  std::thread thread(std::forward<F>(run));
  thread.join();
}

TEST(CarriedContext, LabelsAnotherThreadAndTakesAway) {
  Program program;
  const Span root = program.Start("root");
  const trace::Scope scope(root);
  const pprof::LabelScope labels(pprof::Labels({{"vehicle", "bike"}}));
  OnAnotherThread([&, carried = CarriedContext::Current()] {
    EXPECT_TRUE(Unlabelled());
    {
      const CarriedScope there(carried);
      EXPECT_EQ(SpanIdLabel(), IdOf(root));
      EXPECT_EQ(TraceIdLabel(), TraceOf(root));
      EXPECT_EQ(SpanNameLabel(), "root");
      EXPECT_EQ(Vehicle(), "bike");
    }
    EXPECT_TRUE(Unlabelled());
    EXPECT_EQ(Vehicle(), "");
  });
  EXPECT_EQ(SpanIdLabel(), IdOf(root));
  EXPECT_EQ(Vehicle(), "bike");
}

TEST(CarriedContext, SpansStartedThereAreChildren) {
  Program program;
  const Span root = program.Start("root");
  const trace::Scope scope(root);
  OnAnotherThread([&, carried = CarriedContext::Current()] {
    const CarriedScope there(carried);
    const Span child = program.Start("child");
    const trace::Scope inner(child);
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
    child->End();
  });
  EXPECT_EQ(program.Ended("child").parent_id, IdOf(root));
}

TEST(CarriedContext, ReplacesWhatIsThere) {
  Program program;
  const Span ours = program.Start("ours");
  CarriedContext carried;
  {
    const trace::Scope scope(ours);
    const pprof::LabelScope labels(pprof::Labels({{"vehicle", "bike"}}));
    carried = CarriedContext::Current();
  }
  const Span other = program.Start("other");
  const trace::Scope scope(other);
  const pprof::LabelScope labels(pprof::Labels({{"vehicle", "car"}, {"region", "eu"}}));
  {
    const CarriedScope here(carried);
    EXPECT_EQ(SpanNameLabel(), "ours");
    EXPECT_EQ(Vehicle(), "bike");
    EXPECT_EQ(pprof::CurrentLabels().labels().Get("region"), "");
  }
  EXPECT_EQ(SpanNameLabel(), "other");
  EXPECT_EQ(Vehicle(), "car");
}

TEST(CarriedContext, EmptyTakesLabelsAwayWhileItLasts) {
  Program program;
  const Span root = program.Start("root");
  const trace::Scope scope(root);
  {
    const CarriedScope nothing{CarriedContext()};
    EXPECT_TRUE(Unlabelled());
    EXPECT_FALSE(context::RuntimeContext::GetCurrent().HasKey(trace::kSpanKey));
  }
  EXPECT_EQ(SpanIdLabel(), IdOf(root));
}

// A coroutine that suspends with a trace::Scope open leaves it to the thread; the carrier ends
// first.
TEST(CarriedContext, WhatWasLeftOpenInsideEndsWithIt) {
  Program program;
  const Span root = program.Start("root");
  std::unique_ptr<trace::Scope> left_open;
  const CarriedContext nothing;
  OnAnotherThread([&] {
    {
      const CarriedScope there(nothing);
      left_open = std::make_unique<trace::Scope>(root);
      EXPECT_EQ(SpanIdLabel(), IdOf(root));
    }
    EXPECT_TRUE(Unlabelled());
  });
  left_open.reset();
  EXPECT_TRUE(Unlabelled());
}

// A guard labels without making the span current: only the labels can be carried.
TEST(CarriedContext, CarriesASpanGuardsLabels) {
  Program program;
  const Span root = program.Start("root");
  const otelpyroscope::SpanGuard guard(root);
  OnAnotherThread([&, carried = CarriedContext::Current()] {
    const CarriedScope there(carried);
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
  });
}

TEST(CarriedContext, OutlivesSpanAndScope) {
  Program program;
  CarriedContext carried;
  std::string id;
  {
    const Span root = program.Start("root");
    const trace::Scope scope(root);
    id = IdOf(root);
    carried = CarriedContext::Current();
    root->End();
  }
  OnAnotherThread([&] {
    const CarriedScope there(carried);
    EXPECT_EQ(SpanIdLabel(), id);
    EXPECT_EQ(SpanNameLabel(), "root");
  });
}

TEST(CarriedContext, OneValueServesManyThreads) {
  Program program;
  const Span root = program.Start("root");
  const trace::Scope scope(root);
  const CarriedContext carried = CarriedContext::Current();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 1000; ++turn) {
        const CarriedContext copy = carried;
        const CarriedScope there(copy);
        ASSERT_EQ(SpanIdLabel(), IdOf(root));
      }
      EXPECT_TRUE(Unlabelled());
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace otelpyroscope_test
