#include "src/pprof_http/address.h"

#include <gtest/gtest.h>

namespace pprof_http {
namespace {

TEST(ParseAddress, ReadsHostAndPort) {
  EXPECT_EQ(FormatAddress(*ParseAddress("127.0.0.1:6060")), "127.0.0.1:6060");
  EXPECT_EQ(FormatAddress(*ParseAddress("localhost:0")), "localhost:0");
  EXPECT_EQ(FormatAddress(*ParseAddress("[::1]:80")), "[::1]:80");
  EXPECT_EQ(ParseAddress("[::1]:80")->host, "::1");
  EXPECT_EQ(FormatAddress(*ParseAddress(":6060")), "0.0.0.0:6060") << "as Go: all interfaces";
}

TEST(ParseAddress, RefusesWhatIsNotHostAndPort) {
  for (const char* text : {"", "6060", "host", "host:", "host:x", "host:65536", "host:-1",
                           "host:80x", "::1:80", "[::1]", "[]:80", "[::1:80", "host: 80"}) {
    EXPECT_FALSE(ParseAddress(text)) << text;
  }
}

TEST(IsLoopback, KnowsTheNamesOfThisMachineAlone) {
  for (const char* host : {"localhost", "LocalHost", "127.0.0.1", "127.1.2.3", "::1"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
  }
  for (const char* host : {"", "local", "localhosts", "0.0.0.0", "::", "10.0.0.1",
                           "localhost.evil.org", "127.0.0.1.evil.org", "128.0.0.1"}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

TEST(HostOfHeader, LeavesThePortAway) {
  EXPECT_EQ(HostOfHeader("localhost:6060"), "localhost");
  EXPECT_EQ(HostOfHeader("localhost"), "localhost");
  EXPECT_EQ(HostOfHeader("[::1]:6060"), "::1");
  EXPECT_EQ(HostOfHeader("[::1"), "[::1");
}

}  // namespace
}  // namespace pprof_http
