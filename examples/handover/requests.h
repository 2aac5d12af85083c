// Two requests at a time, whose work is done elsewhere, and what the profile says of it: what the
// programs of this folder share.
#pragma once

#include <functional>

namespace handover {

// One piece of a request's work: some 40 ms of CPU time in a function of that request's own.
using Work = std::function<void()>;

// Runs two requests at the same time, each on a thread and in a span of its own, labelled
// `request`. `serve` hands some pieces of `work` to other threads and returns when all are done.
// Returns the exit code: 0 only if every sample of a request's work carries its span, and there are
// enough.
int RunTwoRequests(const std::function<void(const Work& work)>& serve);

}  // namespace handover
