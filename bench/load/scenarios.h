// Loads that a server can put on the profiler, by name. Used by the program that compares each with
// the budgets (load.cc) and by the soak that runs all of them in turn (soak.cc).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace load {

struct Size {
  double seconds = 10;
  double part = 1;     // of the threads, spans, values that the scenario's name promises
  bool bridge = true;  // false: spans come from the SDK alone
};

struct Done {
  std::uint64_t units = 0;         // threads, spans, label values
  double wanted = 0;               // as many there should have been
  std::uint64_t live_threads = 0;  // at most at one time
};

struct Scenario {
  const char* name;
  const char* what;
  int rate;        // Hz of the profile
  double seconds;  // of a full run
  bool counted;    // ends when its units are done; `seconds` is only a limit
  Done (*run)(const Size& size);
};

// All of them, in the order of the proof list.
const std::vector<Scenario>& Scenarios();
const Scenario* Find(std::string_view name);  // nullptr: no such scenario

}  // namespace load
