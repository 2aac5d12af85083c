#include "src/pprof/profiler/grafana.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace pprof::profiler {
namespace {

Grafana Find(const char* address, const char* datasource = "") {
  SpanWatchOptions options;
  options.grafana = address;
  options.grafana_datasource = datasource;
  return FindGrafana(options);
}

TEST(FindGrafana, NoneUnlessTold) { EXPECT_EQ(Find("").address, ""); }

TEST(FindGrafana, AddressWithPortAndPathAndTheUsualDataSource) {
  for (const char* address :
       {"http://127.0.0.1:3000", "https://grafana.example/sub/path/", "http://[::1]:3000"}) {
    EXPECT_EQ(Find(address).address, address);
    EXPECT_EQ(Find(address).datasource, "pyroscope");
  }
  EXPECT_EQ(Find("http://g", "Prod_pyro-1").datasource, "Prod_pyro-1");
}

TEST(FindGrafana, TheEnvironmentCountsWhereTheProgramSaysNothing) {
  setenv("OTEL_PROFILING_GRAFANA_URL", "http://env:3000", 1);
  setenv("OTEL_PROFILING_GRAFANA_DATASOURCE", "envuid", 1);
  EXPECT_EQ(Find("").address, "http://env:3000");
  EXPECT_EQ(Find("").datasource, "envuid");
  EXPECT_EQ(Find("http://code", "own").address, "http://code");
  EXPECT_EQ(Find("http://code", "own").datasource, "own");
  unsetenv("OTEL_PROFILING_GRAFANA_URL");
  unsetenv("OTEL_PROFILING_GRAFANA_DATASOURCE");
}

TEST(FindGrafana, WhatIsNoAddressOrHoldsASecretIsRefused) {
  for (const char* address :
       {"grafana:3000", "javascript:alert(1)", "http://", "https:///x", "http://user:secret@g",
        "http://g/?orgId=1", "http://g/#x", "http://g/\r\nX", "http://g\"onclick=", "http://g x",
        "ftp://g", "http://g/\xc3\xa4"}) {
    EXPECT_EQ(Find(address).address, "") << address;
  }
  EXPECT_EQ(Find(("http://" + std::string(3000, 'g')).c_str()).address, "");
  EXPECT_EQ(Find("http://g", "a\"}]").datasource, "pyroscope");
  EXPECT_EQ(Find("http://g", std::string(41, 'u').c_str()).datasource, "pyroscope");
}

}  // namespace
}  // namespace pprof::profiler
