// Who gets at /debug/spans over a socket, and what turns it on.
#include <gtest/gtest.h>
#include <pprof/log.h>
#include <pprof/span_record.h>
#include <pprof_http/pprof_http.h>

#include <cstdlib>
#include <string>

#include "src/pprof_http/raw_client_test.h"

namespace pprof_http {
namespace {

std::string Ask(const Server& server, const std::string& path,
                const std::string& host = "localhost") {
  return Fetch(server,
               "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nAccept-Encoding: gzip\r\n\r\n");
}

TEST(SpansServer, OffUnlessAskedForAndOffAgainWithTheServer) {
  auto plain = Serve({"127.0.0.1:0"});
  ASSERT_TRUE(plain.ok());
  EXPECT_FALSE(pprof::SpansWanted());
  EXPECT_NE(Ask(*plain, "/debug/spans").find(" 404 "), std::string::npos);
  {
    auto server = Serve({"127.0.0.1:0", true});
    ASSERT_TRUE(server.ok());
    EXPECT_TRUE(pprof::SpansWanted());
    EXPECT_NE(Ask(*server, "/debug/spans").find(" 200 "), std::string::npos);
    EXPECT_NE(Ask(*server, "/debug/spans/data").find("Content-Encoding: gzip"), std::string::npos);
    EXPECT_NE(Ask(*server, "/debug/spans/data", "evil.example").find(" 403 "), std::string::npos);
  }
  EXPECT_FALSE(pprof::SpansWanted());
}

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(SpansServer, NothingIsCompressedTwice) {
  auto server = Serve({"127.0.0.1:0", true});
  ASSERT_TRUE(server.ok());
  for (const char* accepted : {"gzip", "gzip, deflate, br, zstd"}) {
    const std::string answer =
        Fetch(*server, "GET /debug/spans/data HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: " +
                           std::string(accepted) + "\r\n\r\n");
    EXPECT_EQ(Count(answer, "Content-Encoding:"), 1) << accepted;
    EXPECT_EQ(answer.substr(answer.find("\r\n\r\n") + 4, 2), "\x1f\x8b") << accepted;
    EXPECT_EQ(Count(answer, "otelprof-accept-encoding"), 0);
  }
  const std::string plain = Fetch(*server,
                                  "GET /debug/spans/data HTTP/1.1\r\nHost: localhost\r\n"
                                  "otelprof-accept-encoding: gzip\r\n\r\n");
  EXPECT_EQ(Count(plain, "Content-Encoding:"), 0);
}

TEST(SpansServer, TheEnvironmentTurnsItOn) {
  setenv("OTEL_PROFILING_SPANS", "true", 1);
  {
    auto server = Serve({"127.0.0.1:0"});
    ASSERT_TRUE(server.ok());
    EXPECT_TRUE(pprof::SpansWanted());
  }
  setenv("OTEL_PROFILING_SPANS", "maybe", 1);
  std::string log;
  pprof::SetLogHandler([&](pprof::LogLevel, std::string_view line) { log += line; });
  {
    auto server = Serve({"127.0.0.1:0"});
    ASSERT_TRUE(server.ok());
    EXPECT_FALSE(pprof::SpansWanted());
  }
  pprof::SetLogHandler({});
  unsetenv("OTEL_PROFILING_SPANS");
  EXPECT_NE(log.find("OTEL_PROFILING_SPANS"), std::string::npos);
}

TEST(SpansServer, NotOnAnAddressThatOthersReach) {
  std::string log;
  pprof::SetLogHandler([&](pprof::LogLevel, std::string_view line) { log += line; });
  auto server = Serve({"0.0.0.0:0", true});
  pprof::SetLogHandler({});
  ASSERT_TRUE(server.ok());
  EXPECT_FALSE(pprof::SpansWanted());
  EXPECT_NE(log.find("only on a loopback address"), std::string::npos);
  const std::string answer = Ask(*server, "/debug/spans/data");
  EXPECT_NE(answer.find(" 403 "), std::string::npos) << answer;
}

}  // namespace
}  // namespace pprof_http
