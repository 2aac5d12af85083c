// What the demo tells a person.
#pragma once

#include "examples/demo/summary.h"

namespace demo {

// Table of operations, the slowest trace with its hottest stacks, the line of truth, and where to
// go on.
void PrintReport(const Options& options, const Summary& summary);

// The samples' stacks as a text tree: indentation is depth, the hottest branch first, small
// branches summed up.
void PrintStackTree(const std::vector<const pprof_reader::Sample*>& samples);

}  // namespace demo
