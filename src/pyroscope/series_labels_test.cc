#include "src/pyroscope/series_labels.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace pyroscope::internal {
namespace {

std::string TagError(const Tags& tags) { return CheckTags(tags, "shop").message; }

TEST(SeriesLabels, DefaultsGiveWayToTheUsersOwn) {
  const SeriesLabels labels = MakeSeriesLabels("shop", {{"region", "eu"},
                                                        {"otel.scope.name", "mine"},
                                                        {"process_runtime_name", "x"},
                                                        {"process.runtime.version", ""}});
  const Tags map(labels.begin(), labels.end());
  EXPECT_EQ(map, (Tags{{"__name__", "process_cpu"},
                       {"service_name", "shop"},
                       {"region", "eu"},
                       {"otel.scope.name", "mine"},
                       {"otel.scope.version", map.at("otel.scope.version")},
                       {"process_runtime_name", "x"}}));
  EXPECT_EQ(map.at("otel.scope.version").find_first_not_of("0123456789."), std::string::npos);
}

TEST(SeriesLabels, DefaultsSayWhatThisIs) {
  const SeriesLabels labels = MakeSeriesLabels("shop", {});
  const Tags map(labels.begin(), labels.end());
  EXPECT_EQ(map.size(), labels.size());
  EXPECT_EQ(map.at("otel.scope.name"), "com.grafana.pyroscope/cpp");
  EXPECT_EQ(map.at("process.runtime.name"), "cpp");
  EXPECT_FALSE(map.at("process.runtime.version").empty());
}

TEST(SeriesLabels, LimitsLeaveRoomForTheSeries) {
  const pprof::ProfileLimits limits =
      PushLimits(MakeSeriesLabels("shop", {{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(limits.max_labels_per_sample, 30U - 8U);
  EXPECT_EQ(limits.max_samples, 16000U);
  EXPECT_EQ(limits.max_bytes, 1048576U);
  EXPECT_TRUE(limits.name_every_location);
  Tags tags;
  for (int i = 0; i < 20; ++i) tags["t" + std::to_string(i)] = "v";
  ASSERT_EQ(TagError(tags), "");
  EXPECT_EQ(PushLimits(MakeSeriesLabels("shop", tags)).max_labels_per_sample, 4U);
}

TEST(SeriesLabels, TagRules) {
  EXPECT_EQ(TagError({{"a", "1"}, {"b.c", ""}, {"_x9", "\xF0\x9F\x98\x80"}}), "");
  EXPECT_NE(TagError({{"", "1"}}), "");
  EXPECT_NE(TagError({{"a b", "1"}}).find("letters, digits"), std::string::npos);
  EXPECT_NE(TagError({{"a-b", "1"}}), "");
  EXPECT_NE(TagError({{"1a", "1"}}), "");
  EXPECT_NE(TagError({{"caf\xC3\xA9", "1"}}), "");
  EXPECT_NE(TagError({{"__name__", "x"}}).find("server keeps"), std::string::npos);
  EXPECT_NE(TagError({{"span_id", "x"}}).find("every sample"), std::string::npos);
  EXPECT_NE(TagError({{"a.b", "1"}, {"a_b", "2"}}).find("one label"), std::string::npos);
  EXPECT_NE(TagError({{"service_name", "other"}}).find("application name"), std::string::npos);
  EXPECT_EQ(TagError({{"service_name", "shop"}}), "");
  EXPECT_NE(TagError({{"a", "\xFF"}}).find("UTF-8"), std::string::npos);
  EXPECT_NE(TagError({{"a", std::string(2049, 'x')}}).find("2048"), std::string::npos);
  EXPECT_NE(TagError({{std::string(1025, 'x'), "v"}}).find("1024"), std::string::npos);
  Tags many;
  for (int i = 0; i < 21; ++i) many["t" + std::to_string(i)] = "v";
  EXPECT_NE(TagError(many).find("too many"), std::string::npos);
}

TEST(SeriesLabels, NameRules) {
  EXPECT_TRUE(CheckServiceName("my-service/1.x").ok());
  EXPECT_TRUE(CheckServiceName("Order Service \xF0\x9F\x98\x80").ok());
  EXPECT_NE(CheckServiceName("").message.find("OTEL_SERVICE_NAME"), std::string::npos);
  EXPECT_FALSE(CheckServiceName("a\nb").ok());
  EXPECT_FALSE(CheckServiceName(std::string("a\0b", 3)).ok());
  EXPECT_FALSE(CheckServiceName(" a").ok());
  EXPECT_FALSE(CheckServiceName("\xC3").ok());
  EXPECT_FALSE(CheckServiceName("shop{region=eu}").ok());
  EXPECT_FALSE(CheckServiceName(std::string(2049, 'a')).ok());
}

}  // namespace
}  // namespace pyroscope::internal
