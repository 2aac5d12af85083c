// What the page of spans is told about the spans of a traced program, while somebody watches.
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <opentelemetry/sdk/trace/samplers/always_off.h>
#include <opentelemetry/trace/context.h>
#include <pprof/span_record.h>
#include <pprof/span_watch.h>

#include "tests/otelpyroscope/traced_program.h"

namespace otelpyroscope_test {
namespace {

using nlohmann::json;

struct NotedSpan {
  std::string id, trace, parent, name, label_id;
  std::int64_t start_ns = 0, duration_ns = 0;
  int status = 0;
  bool sampled = false, root = false;
  std::map<std::string, std::string> attributes;
};

class SpanNotes : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(watch_.ok()) << watch_.status().message; }

  // By name; the span must be there once.
  NotedSpan Noted(const std::string& name) {
    const json document = json::parse(*watch_->Document());
    const auto text = [&](const json& index) {
      return document["strings"][index.get<std::size_t>()].get<std::string>();
    };
    const auto id = [&](const json& index) {
      return index < 0 ? "" : document["ids"][index.get<std::size_t>()].get<std::string>();
    };
    NotedSpan noted;
    int found = 0;
    for (const json& span : document["spans"]) {
      if (text(span[3]) != name) continue;
      ++found;
      noted = {id(span[0]), id(span[1]),  id(span[2]),  name, id(span[10]), 0, span[5],
               span[6],     span[7] == 1, span[8] == 1, {}};
      noted.start_ns =
          std::stoll(document["origin_ns"].get<std::string>()) + span[4].get<std::int64_t>();
      for (const json& label : document["label_sets"][span[9].get<std::size_t>()]) {
        noted.attributes[text(label[0])] = text(label[1]);
      }
    }
    EXPECT_EQ(found, 1) << name;
    return noted;
  }

  pprof::Result<pprof::SpanWatch> watch_ = pprof::WatchSpans();
};

void ExpectRenamedChild(const NotedSpan& child, const NotedSpan& parent) {
  EXPECT_EQ(child.parent, parent.id);
  EXPECT_EQ(child.trace, parent.trace);
  EXPECT_EQ(child.label_id, parent.id) << "its samples carry the root's id";
  EXPECT_EQ(child.status, 2);
  EXPECT_FALSE(child.root);
  EXPECT_EQ(child.attributes, (std::map<std::string, std::string>{{"set", "again"}}));
  EXPECT_GE(child.start_ns, parent.start_ns);
  EXPECT_LE(child.start_ns + child.duration_ns, parent.start_ns + parent.duration_ns + 1'000'000);
}

TEST_F(SpanNotes, RootAndChildWithIdsNamesStatusAndAttributes) {
  Program program;
  const Span root = program.tracer->StartSpan("root", {{"http.request.method", "GET"},
                                                       {"n", 7},
                                                       {"big", std::int64_t{-5'000'000'000}},
                                                       {"ratio", 0.25},
                                                       {"on", true}});
  std::string child_id;
  {
    const trace::Scope scope(root);
    const Span child = program.Start("child");
    child_id = IdOf(child);
    child->SetAttribute("set", nostd::string_view("later"));
    child->SetAttribute("set", nostd::string_view("again"));
    child->SetStatus(trace::StatusCode::kError, "no");
    child->UpdateName("renamed child");
    child->End();
    child->UpdateName("after its end");
  }
  root->SetStatus(trace::StatusCode::kOk);
  root->End();
  const NotedSpan parent = Noted("root");
  EXPECT_EQ(parent.id, IdOf(root));
  EXPECT_EQ(parent.trace, TraceOf(root));
  EXPECT_EQ(parent.parent, "");
  EXPECT_EQ(parent.label_id, parent.id);
  EXPECT_EQ(parent.status, 1);
  EXPECT_TRUE(parent.root && parent.sampled);
  const std::map<std::string, std::string> wanted = {{"http.request.method", "GET"},
                                                     {"n", "7"},
                                                     {"big", "-5000000000"},
                                                     {"ratio", "0.25"},
                                                     {"on", "true"}};
  EXPECT_EQ(parent.attributes, wanted);
  const NotedSpan child = Noted("renamed child");
  EXPECT_EQ(child.id, child_id);
  ExpectRenamedChild(child, parent);
}

TEST_F(SpanNotes, TimesThatTheProgramGivesAreTaken) {
  Program program;
  trace::StartSpanOptions start;
  start.start_system_time =
      opentelemetry::common::SystemTimestamp(std::chrono::nanoseconds(1'700'000'000'123'456'789));
  start.start_steady_time = opentelemetry::common::SteadyTimestamp(std::chrono::nanoseconds(5'000));
  const Span span = program.tracer->StartSpan("timed", {}, start);
  trace::EndSpanOptions end;
  end.end_steady_time = opentelemetry::common::SteadyTimestamp(std::chrono::nanoseconds(47'000));
  span->End(end);
  EXPECT_EQ(Noted("timed").start_ns, 1'700'000'000'123'456'789);
  EXPECT_EQ(Noted("timed").duration_ns, 42'000);
}

TEST_F(SpanNotes, TheSdkEndsTheSpanAtTheTimeThatIsNoted) {
  Program program;
  trace::StartSpanOptions start;
  start.start_system_time =
      opentelemetry::common::SystemTimestamp(std::chrono::system_clock::now());
  start.start_steady_time =
      opentelemetry::common::SteadyTimestamp(std::chrono::steady_clock::now());
  program.tracer->StartSpan("one clock", {}, start)->End();
  EXPECT_GT(Noted("one clock").duration_ns, 0);
  ASSERT_EQ(program.ended->size(), 1u);
  EXPECT_EQ(Noted("one clock").duration_ns, program.ended->front().duration_ns);
}

TEST_F(SpanNotes, ARemoteParentIsNamedAndTheSpanIsALocalRoot) {
  Program program;
  const std::uint8_t trace_id[16] = {1, 2, 3};
  const std::uint8_t span_id[8] = {4, 5, 6};
  const trace::SpanContext remote(trace::TraceId(trace_id), trace::SpanId(span_id),
                                  trace::TraceFlags(1), true);
  program.Start("by ids", remote)->End();
  context::Context context;
  program.Start("by context", trace::SetSpan(context, Span(new trace::DefaultSpan(remote))))->End();
  for (const char* name : {"by ids", "by context"}) {
    EXPECT_EQ(Noted(name).parent, "0405060000000000") << name;
    EXPECT_TRUE(Noted(name).root) << name;
  }
}

TEST_F(SpanNotes, UnsampledSpansAreNotedAsSuchAndHaveNoProfile) {
  Program program({}, std::make_unique<sdk::AlwaysOffSampler>());
  program.Start("unsampled")->End();
  const NotedSpan span = Noted("unsampled");
  EXPECT_FALSE(span.sampled);
  EXPECT_EQ(span.label_id, "");
}

TEST_F(SpanNotes, ADroppedChildOfASampledRootIsNotedAsUnsampled) {
  Program program({}, std::make_unique<NameSampler>());
  const Span root = program.Start("root");
  const trace::Scope scope(root);
  program.Start("dropped")->End();
  program.Start("kept")->End();
  EXPECT_FALSE(Noted("dropped").sampled);
  EXPECT_EQ(Noted("dropped").label_id, IdOf(root));
  EXPECT_TRUE(Noted("kept").sampled);
}

TEST_F(SpanNotes, ASpanThatIsDroppedWithoutEndHasEnded) {
  Program program;
  program.Start("forgotten");
  EXPECT_EQ(Noted("forgotten").name, "forgotten");
}

TEST(SpanNotesOff, SpansThatBeganBeforeAnybodyWatchedAreNotNoted) {
  Program program;
  const Span early = program.Start("early");
  auto watch = pprof::WatchSpans();
  ASSERT_TRUE(watch.ok());
  early->SetAttribute("key", 1);
  early->End();
  EXPECT_EQ(json::parse(*watch->Document())["spans"].size(), 0u);
}

}  // namespace
}  // namespace otelpyroscope_test
