#include "src/pyroscope/headers.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace pyroscope::internal {
namespace {

StringMap AsMap(const Headers& headers) { return {headers.begin(), headers.end()}; }

TEST(Headers, Base64) {  // RFC 4648, 10
  EXPECT_EQ(Base64(""), "");
  EXPECT_EQ(Base64("f"), "Zg==");
  EXPECT_EQ(Base64("fo"), "Zm8=");
  EXPECT_EQ(Base64("foo"), "Zm9v");
  EXPECT_EQ(Base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(Base64("\xFF\xFE"), "//4=");
}

TEST(Headers, CustomOnesReplace) {
  const Headers headers =
      MakeHeaders({"user", "pass", "tenant"},
                  {{"x-scope-orgid", "other"}, {"AUTHORIZATION", "Bearer t"}, {"X-More", ""}});
  const StringMap map = AsMap(headers);
  EXPECT_EQ(map.size(), headers.size());
  EXPECT_EQ(map.count("X-Scope-OrgID"), 0U);
  EXPECT_EQ(map.count("Authorization"), 0U);
  EXPECT_EQ(map.at("x-scope-orgid"), "other");
  EXPECT_EQ(map.at("AUTHORIZATION"), "Bearer t");
  EXPECT_EQ(map.at("X-More"), "");
  EXPECT_EQ(map.at("Content-Type"), "application/proto");
}

TEST(Headers, BasicAuthAndTenant) {
  const StringMap map = AsMap(MakeHeaders({"user", "pass", "tenant"}, {}));
  EXPECT_EQ(map.at("Authorization"), "Basic dXNlcjpwYXNz");
  EXPECT_EQ(map.at("X-Scope-OrgID"), "tenant");
  const StringMap none = AsMap(MakeHeaders({}, {}));
  EXPECT_EQ(none.count("Authorization"), 0U);
  EXPECT_EQ(none.count("X-Scope-OrgID"), 0U);
}

TEST(Headers, InjectionIsRefused) {
  EXPECT_TRUE(CheckHeaders({{"X-A", "plain \t text \xC3\xA9"}}).ok());
  EXPECT_FALSE(CheckHeaders({{"X-A", "a\r\nX-B: c"}}).ok());
  EXPECT_FALSE(CheckHeaders({{"X-A", "a\nb"}}).ok());
  EXPECT_FALSE(CheckHeaders({{"X-A", std::string("a\0b", 3)}}).ok());
  EXPECT_FALSE(CheckHeaders({{"X-A: b\r\nX-C", "d"}}).ok());
  EXPECT_FALSE(CheckHeaders({{"X A", "b"}}).ok());
  EXPECT_FALSE(CheckHeaders({{"", "b"}}).ok());
  EXPECT_FALSE(CheckHeaders({{"Content-length", "1"}}).ok());
  EXPECT_FALSE(CheckHeaders({{"Transfer-Encoding", "chunked"}}).ok());
  EXPECT_FALSE(CheckHeaders({{"X-A", "1"}, {"x-a", "2"}}).ok());
  EXPECT_FALSE(CheckCredentials({"us:er", "", ""}).ok());
  EXPECT_FALSE(CheckCredentials({"user", "pass\n", ""}).ok());
  EXPECT_FALSE(CheckCredentials({"user", "pass", "a\r\nb"}).ok());
  EXPECT_TRUE(CheckCredentials({"user", "p:ss", "a"}).ok());
}

TEST(Headers, ErrorsDoNotShowValues) {
  const auto status = CheckHeaders({{"Authorization", "Bearer hunter2\n"}});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.message.find("hunter2"), std::string::npos);
}

TEST(Headers, SecretsAreKnown) {
  const auto secrets = SecretsOf({"user", "pass", "tenant"}, {{"X-Token", "Bearer abc"}});
  for (const char* secret : {"pass", "dXNlcjpwYXNz", "Bearer abc", "abc"}) {
    EXPECT_NE(std::find(secrets.begin(), secrets.end(), secret), secrets.end()) << secret;
  }
}

}  // namespace
}  // namespace pyroscope::internal
