// The profiler under test, behind three functions: ours.cc and gperftools.cc implement them.
#pragma once

namespace peers {

// Ends the program if the profiler refuses.
void StartProfile(const char* path, int rate);
void StopProfile();
// A thread of the work calls it first, to be known to the profiler.
void ThreadStarts();
// What a label switch (setting a prebuilt label and taking it away) costs, in ns; 0: no labels.
double LabelSwitchNs();

}  // namespace peers
