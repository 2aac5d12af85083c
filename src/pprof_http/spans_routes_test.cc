#include "src/pprof_http/spans_routes.h"

#include <gtest/gtest.h>
#include <pprof/span_record.h>
#include <pprof/span_watch.h>

#include <string>

#include "src/pprof_http/fake_source_test.h"
#include "src/pprof_http/routes.h"

namespace pprof_http {
namespace {

std::string Header(const Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

Response Get(std::string_view target, std::string_view encodings = {}) {
  FakeSource source;
  return Route({"GET", target, {}, encodings}, source);
}

TEST(SpansRoutes, NothingIsThereUntilSpansAreWatched) {
  const Response response = Get("/debug/spans/data");
  EXPECT_EQ(response.status, 404);
  EXPECT_NE(response.body.find("OTEL_PROFILING_SPANS"), std::string::npos);
  EXPECT_EQ(Get("/debug/spansx").body.find("OTEL_PROFILING_SPANS"), std::string::npos);
}

class WatchedRoutes : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(watch_.ok()) << watch_.status().message; }
  pprof::Result<pprof::SpanWatch> watch_ = pprof::WatchSpans();
};

TEST_F(WatchedRoutes, ThePageAllowsNothingFromElsewhere) {
  for (const char* path : {"/debug/spans", "/debug/spans/", "/debug/spans?x=1"}) {
    const Response response = Get(path);
    EXPECT_EQ(response.status, 200) << path;
    EXPECT_EQ(Header(response, "Content-Type"), "text/html; charset=utf-8");
    const std::string policy = Header(response, "Content-Security-Policy");
    EXPECT_NE(policy.find("default-src 'none'"), std::string::npos) << policy;
    EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos) << policy;
    EXPECT_EQ(policy.find("unsafe"), std::string::npos) << policy;
    EXPECT_EQ(Header(response, "X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(Header(response, "Access-Control-Allow-Origin"), "");
  }
}

TEST_F(WatchedRoutes, OnlyGetIsAnswered) {
  FakeSource source;
  for (const char* method : {"HEAD", "POST", "PUT", "DELETE", "OPTIONS"}) {
    const Response response = Route({method, "/debug/spans", {}}, source);
    EXPECT_EQ(response.status, 405) << method;
    EXPECT_EQ(Header(response, "Allow"), "GET");
  }
}

TEST_F(WatchedRoutes, DataHoldsTheSpanAndIsCompressedWhereAllowed) {
  pprof::SpanStart start;
  start.trace_id[15] = 1;
  start.span_id[7] = 0x2a;
  start.name = "</script><b>hostile";
  pprof::SpanRecord* span = pprof::SpanRecord::Start(start);
  ASSERT_NE(span, nullptr);
  span->End();
  span->Release();
  const Response plain = Get("/debug/spans/data", "deflate, gzip;q=0, *");
  EXPECT_EQ(plain.status, 200);
  EXPECT_EQ(Header(plain, "Content-Type"), "application/json");
  EXPECT_EQ(Header(plain, "Content-Encoding"), "");
  EXPECT_NE(plain.body.find("\"000000000000002a\""), std::string::npos);
  EXPECT_NE(plain.body.find("\\u003c/script>\\u003cb>hostile"), std::string::npos);
  EXPECT_EQ(plain.body.find('<'), std::string::npos);
  const Response packed = Get("/debug/spans/data", "br, gzip;q=0.5");
  EXPECT_EQ(Header(packed, "Content-Encoding"), "gzip");
  EXPECT_EQ(packed.body.substr(0, 2), "\x1f\x8b");
  EXPECT_LT(packed.body.size(), plain.body.size());
}

TEST_F(WatchedRoutes, OneSpanInThreeFormatsAndNoOthers) {
  const std::string path = "/debug/spans/00f067aa0ba902b7";
  EXPECT_NE(Get(path).body.find("span 00f067aa0ba902b7\n0 samples"), std::string::npos);
  EXPECT_EQ(Get(path + "?format=folded").status, 200);
  const Response pb = Get(path + "?format=pb");
  EXPECT_EQ(pb.body.substr(0, 2), "\x1f\x8b");
  EXPECT_EQ(Header(pb, "Content-Disposition"),
            "attachment; filename=\"span-00f067aa0ba902b7.pb.gz\"");
  EXPECT_EQ(Get(path + "?format=svg").status, 400);
  for (const char* id : {"00f067aa0ba902b", "00f067aa0ba902b77", "00F067AA0BA902B7",
                         "..%2f..%2fetc", "\"\r\nX: y"}) {
    EXPECT_EQ(Get("/debug/spans/" + std::string(id)).status, 404) << id;
  }
}

}  // namespace
}  // namespace pprof_http
