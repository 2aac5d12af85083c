#include "src/pyroscope/settings.h"

#include <gtest/gtest.h>

#include <string>

#include "src/pyroscope/push_test_fakes.h"

namespace pyroscope::internal {
namespace {

using namespace std::chrono_literals;
using Map = std::map<std::string, std::string>;

pprof::Result<Resolved> With(const Config& config, const Map& variables) {
  return Resolve(config, Variables(variables));
}

Config Good() {
  Config config;
  config.application_name = "shop";
  config.server_address = "http://localhost:4040";
  return config;
}

std::string Error(const Config& config, const Map& variables = {}) {
  const auto result = With(config, variables);
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.status().code, pprof::Status::Code::kInvalidArgument);
  return result.status().message;
}

Map HeadersOf(const Settings& settings) {
  return {settings.headers.begin(), settings.headers.end()};
}

const Map kFullEnvironment = {
    {"PYROSCOPE_APPLICATION_NAME", "env-shop"},
    {"PYROSCOPE_SERVER_ADDRESS", "https://env:443/p"},
    {"PYROSCOPE_BASIC_AUTH_USER", "u"},
    {"PYROSCOPE_BASIC_AUTH_PASSWORD", "p"},
    {"PYROSCOPE_TENANT_ID", "t"},
    {"PYROSCOPE_LABELS", "region=eu,zone:a"},
    {"PYROSCOPE_HTTP_HEADERS", R"({"X-More": "1"})"},
    {"PYROSCOPE_UPLOAD_INTERVAL", "10s"},
    {"PYROSCOPE_LOG_LEVEL", "error"},
};

TEST(Settings, EnvironmentAloneIsEnough) {
  const auto resolved = With({}, kFullEnvironment);
  ASSERT_TRUE(resolved.ok()) << resolved.status().message;
  const Settings& settings = (*resolved).settings;
  EXPECT_EQ((*resolved).off, Resolved::Off::kNo);
  EXPECT_EQ(settings.service_name, "env-shop");
  EXPECT_EQ(settings.endpoint.url, "https://env:443/p/push.v1.PusherService/Push");
  EXPECT_EQ(settings.tags, (Map{{"region", "eu"}, {"zone", "a"}}));
  EXPECT_EQ(settings.upload_interval, 10s);
  EXPECT_EQ(settings.sample_rate, 100);
  EXPECT_EQ((*resolved).log_level, pprof::LogLevel::kError);
  const Map headers = HeadersOf(settings);
  EXPECT_EQ(headers.at("Authorization"), "Basic " + Base64("u:p"));
  EXPECT_EQ(headers.at("X-Scope-OrgID"), "t");
  EXPECT_EQ(headers.at("X-More"), "1");
  EXPECT_TRUE((*resolved).warnings.empty());
}

TEST(Settings, CodeWinsOverEnvironment) {
  Config config = Good();
  config.tags = {{"region", "us"}};
  config.http_headers = {{"x-more", "2"}};
  config.basic_auth_user = "cu";
  config.basic_auth_password = "cp";
  config.tenant_id = "ct";
  config.upload_interval = 20s;
  const auto resolved = With(config, kFullEnvironment);
  ASSERT_TRUE(resolved.ok()) << resolved.status().message;
  const Settings& settings = (*resolved).settings;
  EXPECT_EQ(settings.service_name, "shop");
  EXPECT_EQ(settings.endpoint.address, "http://localhost:4040");
  EXPECT_EQ(settings.tags, (Map{{"region", "us"}, {"zone", "a"}}));
  EXPECT_EQ(settings.upload_interval, 20s);
  const Map headers = HeadersOf(settings);
  EXPECT_EQ(headers.at("Authorization"), "Basic " + Base64("cu:cp"));
  EXPECT_EQ(headers.at("X-Scope-OrgID"), "ct");
  EXPECT_EQ(headers.at("x-more"), "2");
  EXPECT_EQ(headers.count("X-More"), 0U);
}

TEST(Settings, OpenTelemetryNamesTheServiceLast) {
  Config config = Good();
  config.application_name.clear();
  const Map attributes = {
      {"OTEL_RESOURCE_ATTRIBUTES",
       "service.name=a%20b,service.namespace=team,deployment.environment=prod"}};
  auto resolved = With(config, attributes);
  ASSERT_TRUE(resolved.ok()) << resolved.status().message;
  EXPECT_EQ((*resolved).settings.service_name, "a b");
  EXPECT_EQ((*resolved).settings.tags, (Map{{"service_namespace", "team"}}))
      << "other attributes are no labels";

  Map both = attributes;
  both["OTEL_SERVICE_NAME"] = "otel";
  resolved = With(config, both);
  EXPECT_EQ((*resolved).settings.service_name, "otel");
  EXPECT_TRUE((*resolved).warnings.empty());

  both["PYROSCOPE_APPLICATION_NAME"] = "pyro";
  both["PYROSCOPE_LABELS"] = "service_namespace=mine";
  resolved = With(config, both);
  EXPECT_EQ((*resolved).settings.service_name, "pyro");
  EXPECT_EQ((*resolved).settings.tags, (Map{{"service_namespace", "mine"}}));
  ASSERT_EQ((*resolved).warnings.size(), 1U);
  EXPECT_NE(
      (*resolved).warnings[0].find("\"pyro\" differs from OpenTelemetry's service name \"otel\""),
      std::string::npos);
}

TEST(Settings, WrongResourceAttributesAreVoidAndToldOf) {
  const auto resolved = With(Good(), {{"OTEL_RESOURCE_ATTRIBUTES", "service.name=a,broken"}});
  ASSERT_TRUE(resolved.ok());
  EXPECT_EQ((*resolved).settings.service_name, "shop");
  ASSERT_EQ((*resolved).warnings.size(), 1U);
  EXPECT_NE((*resolved).warnings[0].find("OTEL_RESOURCE_ATTRIBUTES is ignored"), std::string::npos);
}

TEST(Settings, SwitchedOffOrWithoutServerNothingElseMatters) {
  auto resolved = With(Good(), {{"PYROSCOPE_PROFILING_ENABLED", "false"},
                                {"PYROSCOPE_UPLOAD_INTERVAL", "nonsense"}});
  ASSERT_TRUE(resolved.ok()) << resolved.status().message;
  EXPECT_EQ((*resolved).off, Resolved::Off::kSwitchedOff);
  resolved = With({}, {});
  ASSERT_TRUE(resolved.ok()) << resolved.status().message;
  EXPECT_EQ((*resolved).off, Resolved::Off::kNoServer);
}

TEST(Settings, UserInTheUrlIsBasicAuth) {
  Config config = Good();
  config.server_address = "http://me:hunter2@localhost:4040";
  const auto resolved = With(config, {});
  ASSERT_TRUE(resolved.ok());
  EXPECT_EQ(HeadersOf((*resolved).settings).at("Authorization"), "Basic " + Base64("me:hunter2"));
  config.basic_auth_user = "other";
  EXPECT_EQ(HeadersOf((*With(config, {})).settings).at("Authorization"),
            "Basic " + Base64("other:"));
}

TEST(Settings, LongIntervalsAreWarnedOf) {
  Config config = Good();
  config.upload_interval = 29s;
  EXPECT_TRUE((*With(config, {})).warnings.empty());
  config.upload_interval = 30s;
  ASSERT_EQ((*With(config, {})).warnings.size(), 1U);
}

TEST(Settings, ErrorsNameFieldAndRemedy) {
  Config config = Good();
  config.application_name.clear();
  EXPECT_NE(Error(config).find("application_name is empty"), std::string::npos);
  config = Good();
  config.server_address = "localhost:4040";
  EXPECT_NE(Error(config).find("has no scheme"), std::string::npos);
  config = Good();
  config.tags = {{"a b", "c"}};
  EXPECT_NE(Error(config).find("tags"), std::string::npos);
  config = Good();
  config.http_headers = {{"X-A", "b\r\nc: d"}};
  EXPECT_NE(Error(config).find("http_headers"), std::string::npos);
  config = Good();
  config.upload_interval = 50ms;
  EXPECT_NE(Error(config).find("upload_interval"), std::string::npos);
  config = Good();
  config.sample_rate = 0;
  EXPECT_NE(Error(config).find("sample_rate"), std::string::npos);
  config = Good();
  config.ca_file = "/nonexistent/ca.pem";
  EXPECT_NE(Error(config).find("ca_file"), std::string::npos);
}

TEST(Settings, ErrorsNameTheVariable) {
  for (const auto& [name, value] : Map{{"PYROSCOPE_LABELS", "a"},
                                       {"PYROSCOPE_HTTP_HEADERS", "x"},
                                       {"PYROSCOPE_UPLOAD_INTERVAL", "10"},
                                       {"PYROSCOPE_LOG_LEVEL", "loud"},
                                       {"PYROSCOPE_PROFILING_ENABLED", "maybe"}}) {
    EXPECT_EQ(Error(Good(), {{name, value}}).compare(0, name.size(), name), 0) << name;
  }
}

}  // namespace
}  // namespace pyroscope::internal
