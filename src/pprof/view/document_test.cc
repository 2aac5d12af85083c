#include "src/pprof/view/document.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "src/pprof/view/span_samples.h"
#include "src/pprof/view/stats_words.h"

namespace pprof::view {
namespace {

using nlohmann::json;

constexpr std::int64_t kPeriod = 10'000'000;
constexpr std::int64_t kStart = 1'795'619'711'513'832'543;

struct SampleText {
  std::vector<std::string> functions;  // leaf first
  std::int64_t count;
  std::vector<std::pair<std::string, std::string>> labels;
};

profile::Profile MakeProfile(const std::vector<SampleText>& samples,
                             std::int64_t time_ns = kStart) {
  profile::Profile made;
  made.period_ns = kPeriod;
  made.time_ns = time_ns;
  made.duration_ns = 1'000'000'000;
  profile::Mapping mapping;
  mapping.filename = made.Intern("/usr/bin/demo");
  made.mappings.push_back(mapping);
  std::map<std::string, std::uint32_t> locations;
  for (const SampleText& text : samples) {
    profile::Sample sample;
    sample.count = text.count;
    for (const std::string& name : text.functions) {
      const auto [place, fresh] = locations.emplace(name, made.locations.size());
      if (fresh) {
        profile::Location location{0, 0x1000 + place->second, {}};
        profile::Function function;
        function.name = made.Intern(name);
        function.filename = made.Intern(name + ".cc");
        if (name[0] != '?') location.lines.push_back({made.AddFunction(function), 7});
        made.locations.push_back(location);
      }
      sample.locations.push_back(place->second);
    }
    for (const auto& [key, value] : text.labels) {
      sample.labels.push_back({made.Intern(key), made.Intern(value)});
    }
    made.samples.push_back(std::move(sample));
  }
  return made;
}

std::shared_ptr<const profile::Profile> Share(profile::Profile profile) {
  return std::make_shared<const profile::Profile>(std::move(profile));
}

// Every index names an entry of its table.
void ExpectWhole(const json& document) {
  const auto in = [&](const json& number, const char* table, bool may_miss = false) {
    ASSERT_TRUE(number.is_number_integer());
    EXPECT_GE(number.get<std::int64_t>(), may_miss ? -1 : 0);
    EXPECT_LT(number.get<std::int64_t>(), static_cast<std::int64_t>(document[table].size()))
        << table;
  };
  EXPECT_EQ(document["strings"][0], "");
  EXPECT_EQ(document["label_sets"][0], json::array());
  for (const json& row : document["functions"]) in(row[0], "strings"), in(row[1], "strings");
  for (const json& row : document["frames"]) in(row[0], "functions");
  for (const json& row : document["locations"]) {
    EXPECT_FALSE(row.empty());
    for (const json& frame : row) in(frame, "frames");
  }
  for (const json& row : document["stacks"]) {
    for (const json& location : row) in(location, "locations");
  }
  for (const json& row : document["samples"]) {
    ASSERT_EQ(row.size(), 7u);
    in(row[0], "stacks");
    in(row[1], "ids", true);
    in(row[2], "strings");
    in(row[3], "ids", true);
    in(row[6], "label_sets");
  }
  for (const json& row : document["spans"]) {
    ASSERT_EQ(row.size(), 11u);
    for (const std::size_t id : {0u, 1u, 2u, 10u}) in(row[id], "ids", id == 2 || id == 10);
    in(row[3], "strings");
    in(row[9], "label_sets");
  }
  for (const json& row : document["operations"]) {
    ASSERT_EQ(row.size(), 8u);
    in(row[0], "strings");
  }
}

class DocumentTest : public testing::Test {
 protected:
  void SetUp() override { spans::Want(spans::BytesUsed() + (1 << 20)); }
  void TearDown() override {
    store_.reset();
    spans::StopWanting();
  }

  void AddSpan(const char* name, std::uint8_t id, std::uint8_t parent, SpanStatus status) {
    SpanStart start;
    start.trace_id[15] = 9;
    start.span_id[7] = id;
    start.parent_id[7] = parent;
    start.label_span_id[7] = 1;
    start.local_root = parent == 0;
    start.sampled = true;
    start.name = name;
    start.system_ns = kStart + id * 1000;
    start.steady_ns = 1;
    SpanRecord* span = SpanRecord::Start(start);
    ASSERT_NE(span, nullptr);
    span->SetStatus(status);
    span->SetAttribute("http.route", "/<b>");
    span->End(1 + 5'000'000);
    span->Release();
    store_->Add(spans::TakeEnded(), 0);
  }

  json Write(Windows windows) {
    DocumentParts parts;
    parts.service = "shop";
    parts.command = "/usr/bin/demo";
    parts.pid = 42;
    parts.now_ns = kStart + 2'000'000'000;
    parts.windows = std::move(windows);
    parts.spans = store_.get();
    parts.stats.samples_lost = 17;
    parts.notes = {"a \"note\"\n\x01\xff</script>"};
    text_ = WriteDocument(parts);
    return json::parse(text_);
  }

  std::string text_;
  std::unique_ptr<spans::SpanStore> store_ = std::make_unique<spans::SpanStore>();
};

TEST_F(DocumentTest, HoldsEveryPartOfTheContract) {
  AddSpan("child <i>", 2, 1, SpanStatus::kError);
  AddSpan("GET /orders", 1, 0, SpanStatus::kUnset);
  const json document =
      Write({Share(MakeProfile({{{"leaf", "main"},
                                 3,
                                 {{"span_id", "0000000000000001"},
                                  {"span_name", "GET /orders"},
                                  {"trace_id", "00000000000000000000000000000009"}}},
                                {{"?", "main"}, 2, {{"vehicle", "bike"}}}}))});
  ExpectWhole(document);
  EXPECT_EQ(document["version"], 1);
  EXPECT_EQ(document["origin_ns"], std::to_string(kStart));
  EXPECT_EQ(document["generated_ns"], 2'000'000'000);
  EXPECT_EQ(document["service"], "shop");
  EXPECT_EQ(document["process"], (json{{"pid", 42}, {"command", "/usr/bin/demo"}}));
  EXPECT_EQ(document["live"], true);
  EXPECT_EQ(document["profile"],
            (json{{"start_ns", 0}, {"duration_ns", 1'000'000'000}, {"period_ns", kPeriod}}));
  ASSERT_EQ(document["spans"].size(), 2u);
  const json& child = document["spans"][0];
  EXPECT_EQ(document["ids"][child[0].get<std::size_t>()], "0000000000000002");
  EXPECT_EQ(document["ids"][child[1].get<std::size_t>()], "00000000000000000000000000000009");
  EXPECT_EQ(document["ids"][child[2].get<std::size_t>()], "0000000000000001");
  EXPECT_EQ(document["strings"][child[3].get<std::size_t>()], "child <i>");
  EXPECT_EQ(json(child.begin() + 4, child.begin() + 9), json::array({2000, 5'000'000, 2, 1, 0}));
  EXPECT_EQ(child[10], document["spans"][1][0]) << "its samples carry the root's id";
  EXPECT_EQ(document["spans"][1][2], -1);
  const json& attribute = document["label_sets"][child[9].get<std::size_t>()][0];
  EXPECT_EQ(document["strings"][attribute[1].get<std::size_t>()], "/<b>");
  for (const json& operation : document["operations"]) {
    if (document["strings"][operation[0].get<std::size_t>()] != "GET /orders") continue;
    EXPECT_EQ(operation,
              (json{operation[0], 1, 0, 5'000'000, 5'000'000, 5'000'000, 3 * kPeriod, 3}));
  }
  EXPECT_EQ(text_.find('<'), std::string::npos);
  EXPECT_EQ(document["notes"][0], "a \"note\"\n\x01\xef\xbf\xbd</script>");
}

TEST_F(DocumentTest, EveryCounterStandsWithItsWords) {
  const json document = Write({});
  EXPECT_EQ(document["stats"].size(), sizeof(Stats) / sizeof(std::uint64_t));
  bool found = false;
  for (const json& row : document["stats"]) {
    EXPECT_FALSE(row[2].get<std::string>().empty());
    if (row[0] == "samples_lost") found = row[1] == 17;
  }
  EXPECT_TRUE(found);
}

TEST_F(DocumentTest, WindowsArePutTogetherWithEachRowOnce) {
  const std::vector<SampleText> samples = {{{"leaf", "main"}, 3, {{"span_name", "a"}}},
                                           {{"main"}, 1, {}}};
  const auto first = Share(MakeProfile(samples));
  const auto second = Share(MakeProfile({samples[1], samples[0]}, kStart + 1'000'000'000));
  const json document = Write({first, second});
  ExpectWhole(document);
  EXPECT_EQ(document["samples"].size(), 2u);
  EXPECT_EQ(document["stacks"].size(), 2u);
  EXPECT_EQ(document["functions"].size(), 2u);
  std::int64_t count = 0;
  std::int64_t cpu = 0;
  for (const json& row : document["samples"]) count += row[4].get<int>(), cpu += row[5].get<int>();
  EXPECT_EQ(count, 8);
  EXPECT_EQ(cpu, 8 * kPeriod);
  EXPECT_EQ(document["profile"]["duration_ns"], 2'000'000'000);
}

TEST(SpanSamples, AreThoseOfTheSpanAloneFromAllWindows) {
  const std::string id = "0000000000000001";
  const std::vector<SampleText> samples = {
      {{"hot", "main"}, 3, {{"span_id", id}}},
      {{"other", "main"}, 5, {{"span_id", "0000000000000002"}}},
      {{"?", "a;b", "main"}, 1, {{"span_id", id}}},
      {{"other"}, 7, {{"user", id}}}};
  const Windows windows = {Share(MakeProfile(samples)),
                           Share(MakeProfile({samples[0]}, kStart + 1'000'000'000))};
  const profile::Profile found = SamplesOfSpan(windows, id);
  EXPECT_EQ(found.samples.size(), 2u) << "equal samples of two windows are one";
  EXPECT_EQ(found.time_ns, kStart);
  EXPECT_EQ(found.duration_ns, 2'000'000'000);
  EXPECT_EQ(found.mappings.size(), 1u);
  EXPECT_EQ(found.locations.size(), 4u) << "nothing of the other span";
  EXPECT_EQ(FoldedStacks(found), "main;a b;[demo] 0x1003 1\nmain;hot 6\n");
  const std::string text = TextReport(found, "span x");
  EXPECT_EQ(text.substr(0, 29), "span x\n7 samples, 70 ms CPU\n\n");
  EXPECT_NE(text.find("      60.0        60.0  hot\n"), std::string::npos) << text;
  EXPECT_NE(text.find("       0.0        70.0  main\n"), std::string::npos) << text;
  EXPECT_TRUE(SamplesOfSpan(windows, "ffffffffffffffff").samples.empty());
}

}  // namespace
}  // namespace pprof::view
