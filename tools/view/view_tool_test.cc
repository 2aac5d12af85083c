#include "tools/view/document.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

namespace view {
namespace {

using nlohmann::json;

pprof_reader::Frame MakeFrame(std::string_view function, std::int64_t line, bool inlined = false) {
  pprof_reader::Frame frame;
  frame.function = function;
  frame.file = "/src/a.cc";
  frame.line = line;
  frame.inlined = inlined;
  return frame;
}

pprof_reader::Profile MakeProfile() {
  pprof_reader::Profile profile;
  profile.time_ns = 1'000'000'000'000'000'500;
  profile.duration_ns = 4'000'000'000;
  profile.period_ns = 10'000'000;
  profile.comments = {"a note"};
  pprof_reader::Sample sample;
  sample.count = 2;
  sample.cpu_ns = 20'000'000;
  sample.labels = {{"span_id", "00f067aa0ba902b7"}, {"span_name", "GET <b>"}, {"customer", "x"}};
  sample.frames = {MakeFrame("leaf", 3, true), MakeFrame("middle", 5), MakeFrame("main", 9)};
  profile.samples = {sample, sample};
  profile.samples[1].labels.clear();
  profile.samples[1].frames.erase(profile.samples[1].frames.begin());
  return profile;
}

json MakeRecorded() {
  return json::parse(R"({"version": 1, "origin_ns": "1000000000000000000", "service": "shop",
    "strings": ["", "GET <b>", "route", "/a"], "ids": ["ffffffffffffffff", "00f067aa0ba902b7"],
    "label_sets": [[], [[2, 3]]], "dropped": {"spans": 1}, "stats": [["samples", 4, "words"]], "notes": ["another"],
    "spans": [[1, 0, -1, 1, 700, 30, 2, 1, 1, 1, 1]], "operations": [[1, 9, 1, 10, 20, 30, 40, 4]]})");
}

TEST(Document, HoldsSamplesWithTheirStacksAndLabels) {
  const json document = MakeDocument(MakeProfile());
  EXPECT_EQ(document["origin_ns"], "1000000000000000500");
  EXPECT_EQ(document["profile"]["period_ns"], 10'000'000);
  EXPECT_EQ(document["notes"], json({"a note"}));
  EXPECT_EQ(document["functions"].size(), 3U);
  EXPECT_EQ(document["frames"].size(), 3U);
  // An inlined frame and the one around it are one location; alone that frame is another.
  EXPECT_EQ(document["locations"], json::parse("[[0, 1], [2], [1]]"));
  EXPECT_EQ(document["stacks"], json::parse("[[0, 1], [2, 1]]"));
  const json& samples = document["samples"];
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_EQ(document["ids"][samples[0][1].get<std::size_t>()], "00f067aa0ba902b7");
  EXPECT_EQ(document["strings"][samples[0][2].get<std::size_t>()], "GET <b>");
  EXPECT_EQ(samples[0][3], -1);
  EXPECT_EQ(samples[0][5], 20'000'000);
  EXPECT_EQ(document["label_sets"][samples[0][6].get<std::size_t>()].size(), 1U);
  EXPECT_EQ(samples[1], json::parse("[1, -1, 0, -1, 2, 20000000, 0]"));
}

TEST(Document, MergesRecordedSpans) {
  json document = MakeDocument(MakeProfile());
  std::string error;
  ASSERT_TRUE(MergeSpans(MakeRecorded(), &document, &error)) << error;
  ASSERT_EQ(document["spans"].size(), 1U);
  const json& span = document["spans"][0];
  EXPECT_EQ(span[0], document["samples"][0][1]) << "the span and its sample have one id";
  EXPECT_EQ(document["strings"][span[3].get<std::size_t>()], "GET <b>");
  EXPECT_EQ(span[4], 200) << "its start counts from the profile's origin";
  EXPECT_EQ(document["label_sets"][span[9].get<std::size_t>()].size(), 1U);
  EXPECT_EQ(document["operations"][0][0], span[3]);
  EXPECT_EQ(document["service"], "shop");
  EXPECT_EQ(document["notes"], json({"a note", "another"}));
}

TEST(Document, RefusesBrokenSpansAndStaysAsItWas) {
  const json before = MakeDocument(MakeProfile());
  const std::vector<std::string> broken = {
      R"([])",
      R"({"version": 2})",
      R"({"version": 1})",
      R"({"version": 1, "origin_ns": "x"})",
      R"({"version": 1, "origin_ns": "99999999999999999999"})",
      R"({"version": 1, "origin_ns": "1", "spans": 5})",
      R"({"version": 1, "origin_ns": "1", "spans": [[1]]})",
      R"({"version": 1, "origin_ns": "1", "spans": [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]})",
      R"({"version": 1, "origin_ns": "1", "strings": [""], "operations": [[0, 1e300, 0, 0, 0, 0, 0, 0]]})",
      R"({"version": 1, "origin_ns": "1", "strings": [7], "label_sets": [[[0, 0]]]})"};
  for (const std::string& text : broken) {
    json document = before;
    std::string error;
    EXPECT_FALSE(MergeSpans(json::parse(text), &document, &error)) << text;
    EXPECT_FALSE(error.empty()) << text;
    EXPECT_EQ(document, before) << text;
  }
}

// Whatever stands in whichever place: refused, or merged into something that a page can be made of.
TEST(Document, SurvivesAnyValueInAnyPlace) {
  const json before = MakeDocument(MakeProfile());
  const json flat = MakeRecorded().flatten();
  const std::vector<json> values = {json(),
                                    json(true),
                                    json(-1),
                                    json(std::numeric_limits<std::int64_t>::max()),
                                    json(std::numeric_limits<std::int64_t>::min()),
                                    json(1.5),
                                    json("x"),
                                    json("\xFF<"),
                                    json(std::numeric_limits<std::uint64_t>::max())};
  for (auto place = flat.begin(); place != flat.end(); ++place) {
    for (const json& value : values) {
      json changed = flat;
      changed[place.key()] = value;
      json document = before;
      std::string error;
      const bool good = MergeSpans(changed.unflatten(), &document, &error);
      EXPECT_EQ(good, error.empty()) << place.key();
      EXPECT_NE(MakePage(document).find("<script"), std::string::npos);
    }
  }
}

TEST(Document, APageHasNoMarkupOfItsData) {
  pprof_reader::Profile profile = MakeProfile();
  profile.samples[0].labels["span_name"] = "</script><script>x\xFF";
  const std::string empty = MakePage(json::object());
  const std::string page = MakePage(MakeDocument(profile));
  const auto count = [](const std::string& text) {
    std::size_t found = 0;
    for (const char character : text) found += character == '<' ? 1U : 0U;
    return found;
  };
  EXPECT_EQ(count(page), count(empty));
  EXPECT_NE(page.find("\\u003c/script>\\u003cscript>x\xEF\xBF\xBD"), std::string::npos);
}

}  // namespace
}  // namespace view
