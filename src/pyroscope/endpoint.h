// Where profiles go: the server's URL, checked and taken apart.
#pragma once

#include <pprof/status.h>

#include <string>
#include <string_view>

#include "src/pyroscope/environment.h"

namespace pyroscope::internal {

struct Endpoint {
  std::string url;      // of the push method; without user name and password
  std::string address;  // the server's, without those and without a query: for log lines
  std::string user;     // from the URL, decoded
  std::string password;
  std::string host;
  bool https = false;
};

// The message of an error never holds the URL's password.
pprof::Result<Endpoint> ParseEndpoint(std::string_view server_address);

// The proxy that the environment names for this endpoint, by the rules that curl documents.
struct Proxy {
  std::string url;       // empty: none
  std::string no_proxy;  // hosts to reach without it
};
Proxy FindProxy(const Endpoint& endpoint, const Environment& environment);

}  // namespace pyroscope::internal
