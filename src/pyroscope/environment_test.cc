#include "src/pyroscope/environment.h"

#include <gtest/gtest.h>

namespace pyroscope::internal {
namespace {

using std::chrono::milliseconds;

TEST(Environment, Labels) {
  EXPECT_EQ(*ParseLabels("region=eu, zone = a ,,k=v=w,"),
            (StringMap{{"region", "eu"}, {"zone", "a"}, {"k", "v=w"}}));
  EXPECT_EQ(*ParseLabels("region:eu,url:http://x?a=b"),
            (StringMap{{"region", "eu"}, {"url", "http://x?a=b"}}));
  EXPECT_EQ(*ParseLabels(""), StringMap());
  EXPECT_EQ(*ParseLabels("a="), (StringMap{{"a", ""}}));
  EXPECT_EQ(ParseLabels("a=1,b").status().message,
            "\"b\" is no label: write name=value,name=value");
}

TEST(Environment, JsonObject) {
  EXPECT_EQ(*ParseJsonObject(R"({"X-A": "1", "Authorization": "Bearer \u0041"})"),
            (StringMap{{"X-A", "1"}, {"Authorization", "Bearer A"}}));
  for (const char* bad :
       {"", "token", "[1]", R"({"a": 1})", R"({"a": {}})", R"({"a": "b")", "null"}) {
    const auto result = ParseJsonObject(bad);
    ASSERT_FALSE(result.ok()) << bad;
    EXPECT_EQ(result.status().message, R"(is no JSON object of strings: write {"Name": "value"})");
  }
}

TEST(Environment, Durations) {
  EXPECT_EQ(*ParseDuration("10s"), milliseconds(10000));
  EXPECT_EQ(*ParseDuration(" 1m30s "), milliseconds(90000));
  EXPECT_EQ(*ParseDuration("1500ms"), milliseconds(1500));
  EXPECT_EQ(*ParseDuration("1h"), milliseconds(3600000));
  for (const char* bad : {"", "10", "s", "-1s", "1.5s", "10 s", "10s x", "1d"}) {
    EXPECT_FALSE(ParseDuration(bad).ok()) << bad;
  }
  EXPECT_TRUE(ParseDuration("99999999999999999999h99999999999999999999h").ok()) << "no overflow";
}

TEST(Environment, Switches) {
  EXPECT_TRUE(*ParseBool("TRUE"));
  EXPECT_TRUE(*ParseBool("1"));
  EXPECT_FALSE(*ParseBool("False"));
  EXPECT_FALSE(*ParseBool("0"));
  EXPECT_FALSE(ParseBool("off").ok());
  EXPECT_EQ(*ParseLogLevel("WARN"), pprof::LogLevel::kWarning);
  EXPECT_EQ(*ParseLogLevel("debug"), pprof::LogLevel::kDebug);
  EXPECT_FALSE(ParseLogLevel("loud").ok());
}

TEST(Environment, ResourceAttributesArePercentDecoded) {
  EXPECT_EQ(*ParseResourceAttributes("service.name=my%20shop,service.namespace=a%2Cb, k = v "),
            (StringMap{{"service.name", "my shop"}, {"service.namespace", "a,b"}, {"k", "v"}}));
  EXPECT_EQ(*ParseResourceAttributes(""), StringMap());
  for (const char* bad : {"novalue", "=v", "k=%4", "k=%zz", "a=1,b"}) {
    EXPECT_FALSE(ParseResourceAttributes(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace pyroscope::internal
