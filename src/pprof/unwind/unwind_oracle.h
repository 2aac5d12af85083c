// What libunwind says about the same stop: an unwinder that shares nothing with ours. For tests.
#pragma once

#include <ucontext.h>

#include <cstdint>

namespace pprof::unwind {

// Finds libunwind.so.8; false: not installed. Opened at run time: a program that is linked with it
// gets its _Unwind_* functions instead of the C++ runtime's.
bool OpenOracle();

// The stack of the interrupted code, leaf first, as handler::Walk gives it; returns the number of
// frames, 0 if libunwind did not come to an end of the stack by itself. Works in a signal handler
// of a single-threaded test, and promises nothing beyond that.
std::uint32_t AskOracle(const ucontext_t& context, std::uint64_t* out, std::uint32_t max);

}  // namespace pprof::unwind
