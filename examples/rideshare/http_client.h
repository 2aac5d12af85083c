// A traced HTTP client: each request is a CLIENT span by OpenTelemetry's HTTP conventions, child of
// the current span; trace context and baggage go along as W3C headers.
#pragma once

#include <string>

namespace rideshare {

struct Answer {
  int status = 0;  // 0: no answer
  std::string body;
};

// GET http://`address`<target>. Any thread; blocks for some 30 seconds at most.
Answer TracedGet(const std::string& address, const std::string& target);

}  // namespace rideshare
