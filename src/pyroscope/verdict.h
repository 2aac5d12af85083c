// What an answer means for the profile that was sent.
#pragma once

#include <string>

#include "src/pyroscope/http_client.h"

namespace pyroscope::internal {

enum class Outcome {
  kAccepted,
  kRetry,    // the same bytes may be taken later
  kRefused,  // they never will
  kAborted,  // Stop's time was over
};

struct Verdict {
  Outcome outcome = Outcome::kRetry;
  // The server has seen the request and did not take it: the bytes themselves may be the cause, so
  // that this must have an end. False: nothing was delivered, which says nothing about them.
  bool counts = false;
  bool maybe_taken = false;  // the server may have kept the profile nevertheless
  std::string kind;          // what is logged once: "HTTP 503", "curl 7"
  std::string problem;       // what happened, with the server's own words; not yet fit for a log
  std::string remedy;
};

Verdict Judge(const Answer& answer);

}  // namespace pyroscope::internal
