// Status values made where nothing may throw, not even for want of memory for the message.
#pragma once

#include <pprof/status.h>

namespace pprof::base {

// Without memory the message is "out of memory". Any thread. Not async-signal-safe.
Status MakeStatus(Status::Code code, const char* message) noexcept;
// The same, `why` followed by the text of `error` (errno) and `remedy`.
Status MakeStatus(Status::Code code, const char* why, int error, const char* remedy) noexcept;

}  // namespace pprof::base
