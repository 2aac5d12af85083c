// The samples of one span, out of several profiles, as a profile of its own and as text.
#pragma once

#include <string>
#include <string_view>

#include "src/pprof/profile/profile.h"
#include "src/pprof/view/document.h"

namespace pprof::view {

// The samples whose label span_id is `span_id`, with their labels; equal ones are one. Throws
// std::bad_alloc only.
profile::Profile SamplesOfSpan(const Windows& windows, std::string_view span_id);

// "root;function;leaf count" a line, as for flame graph tools; ';' and line ends in names become
// spaces.
std::string FoldedStacks(const profile::Profile& profile);

// Self and total CPU of each function, then the folded stacks.
std::string TextReport(const profile::Profile& profile, std::string_view title);

}  // namespace pprof::view
