// The demo's command line.
#pragma once

#include <otelpyroscope/otelpyroscope.h>

#include <string>

namespace demo {

struct Options {
  int seconds = 10;
  otelpyroscope::Scope scope = otelpyroscope::Scope::kRootSpan;  // of the label span_id
  std::string profile_path = "profile.pb.gz";
  std::string summary_path = "summary.json";
  std::string spans_path;  // empty: spans are not recorded
};

// False: the command line was wrong, and stderr says how.
bool ParseOptions(int argc, char** argv, Options* options);

}  // namespace demo
