#include "src/pyroscope/endpoint.h"

#include <gtest/gtest.h>

#include <string>

#include "src/pyroscope/push_test_fakes.h"

namespace pyroscope::internal {
namespace {

using namespace std::string_literals;

TEST(Endpoint, PushPathIsAppended) {
  const struct {
    const char* address;
    const char* url;
  } cases[] = {
      {"http://localhost:4040", "http://localhost:4040/push.v1.PusherService/Push"},
      {" https://host/ ", "https://host/push.v1.PusherService/Push"},
      {"https://host/base/path//", "https://host/base/path/push.v1.PusherService/Push"},
      {"http://host/?tenant=a#x", "http://host/push.v1.PusherService/Push?tenant=a"},
      {"http://[::1]:4040", "http://[::1]:4040/push.v1.PusherService/Push"},
      {"HTTP://host", "http://host/push.v1.PusherService/Push"},
      {"http://host/push.v1.PusherService/Push", "http://host/push.v1.PusherService/Push"},
  };
  for (const auto& test : cases) {
    const auto endpoint = ParseEndpoint(test.address);
    ASSERT_TRUE(endpoint.ok()) << test.address << ": " << endpoint.status().message;
    EXPECT_EQ((*endpoint).url, test.url);
  }
}

TEST(Endpoint, UserAndPasswordAreTakenOut) {
  const auto endpoint = ParseEndpoint("https://me:pa%20ss@host:1234/x");
  ASSERT_TRUE(endpoint.ok());
  EXPECT_EQ((*endpoint).user, "me");
  EXPECT_EQ((*endpoint).password, "pa ss");
  EXPECT_EQ((*endpoint).url, "https://host:1234/x/push.v1.PusherService/Push");
  EXPECT_EQ((*endpoint).address, "https://host:1234/x");
  EXPECT_EQ((*ParseEndpoint("http://me:p@host/a@b/?token=hunter2")).address, "http://host/a@b");
  EXPECT_EQ((*ParseEndpoint("http://host:4040/")).address, "http://host:4040");
}

TEST(Endpoint, ErrorsNameCauseAndRemedy) {
  const struct {
    std::string address;
    const char* part;
  } cases[] = {
      {"localhost:4040", "has no scheme: write http://host:4040 or https://host"},
      {"ftp://host", "scheme ftp: only http and https"},
      {"http://", "is no URL"},
      {"http://host:99999", "is no URL"},
      {"http://ho st", "is no URL"},
      {"http://host\nX: y", "control character"},
      {"http://me%25hp", "cannot be one"},
      {"http://m%EEx/", "cannot be one"},
      {"http://%34", "in two ways: write the host name without %"},
      {"http://127%2e1:4040", "in two ways: write the host name without %"},
      {"http://hos\x8d/", "not UTF-8"},
      {"http://host\0.evil"s, "control character"},
  };
  for (const auto& test : cases) {
    const auto endpoint = ParseEndpoint(test.address);
    ASSERT_FALSE(endpoint.ok()) << test.address;
    EXPECT_NE(endpoint.status().message.find(test.part), std::string::npos)
        << endpoint.status().message;
    EXPECT_EQ(endpoint.status().code, pprof::Status::Code::kInvalidArgument);
  }
}

TEST(Endpoint, ErrorsHideThePassword) {
  for (const char* address : {"ftp://me:hunter2@host", "http://me:hunter2@ho st", "me:hunter2@host",
                              "http://me:hun@ter2@host:99999", "http://ho st/?token=hunter2",
                              "http://me:a?hunter2@ho st"}) {
    const auto endpoint = ParseEndpoint(address);
    ASSERT_FALSE(endpoint.ok()) << address;
    EXPECT_EQ(endpoint.status().message.find("ter2"), std::string::npos)
        << endpoint.status().message;
  }
}

TEST(Endpoint, ProxyComesFromTheEnvironment) {
  const Endpoint plain = *ParseEndpoint("http://host");
  const Endpoint tls = *ParseEndpoint("https://host");
  const Environment all = Variables({{"http_proxy", "http://p1"},
                                     {"HTTP_PROXY", "http://evil"},
                                     {"HTTPS_PROXY", "http://p2"},
                                     {"NO_PROXY", "a,b"}});
  EXPECT_EQ(FindProxy(plain, all).url, "http://p1");
  EXPECT_EQ(FindProxy(tls, all).url, "http://p2");
  EXPECT_EQ(FindProxy(tls, all).no_proxy, "a,b");
  EXPECT_EQ(FindProxy(plain, Variables({{"HTTP_PROXY", "http://evil"}})).url, "");
  EXPECT_EQ(FindProxy(plain, Variables({{"all_proxy", "http://p3"}})).url, "http://p3");
}

}  // namespace
}  // namespace pyroscope::internal
