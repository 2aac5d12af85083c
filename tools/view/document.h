// Makes the viewer's spans document of a pprof file, and a page of it: the code behind
// otel-profiling-view. Both inputs may be anything. Not async-signal-safe; any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/pprof_reader.h"

namespace view {

// The document of a profile alone: samples, stacks and labels, no spans. Times are nanoseconds
// after the profile's start.
nlohmann::json MakeDocument(const pprof_reader::Profile& profile);

// Puts the spans, operations, counters and names of `recorded` (a spans document, as
// /debug/spans/data answers) beside the samples of `document`. False: `*error` says what is wrong
// with `recorded`, and `document` is as it was.
bool MergeSpans(const nlohmann::json& recorded, nlohmann::json* document, std::string* error);

// The whole page with the document in it. Text that is not UTF-8 gets replacement characters.
std::string MakePage(const nlohmann::json& document);

}  // namespace view
