// Keeps the module that holds this library in memory.
#pragma once

namespace pprof::base {

// After dlclose the kernel, the C library and other threads would still call into a plugin that was
// linked with the static library: signal handler, hooks of fork and of thread ends, collector. The
// shared libraries are linked with -z nodelete, which says the same. Nothing happens in a program,
// or where the program has no dynamic loader. Any ordinary thread. Not async-signal-safe.
void PinThisModule() noexcept;

}  // namespace pprof::base
