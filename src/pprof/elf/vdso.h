// Functions of the vDSO: code that the kernel maps into every process, for system calls that need
// no entry into the kernel.
#pragma once

namespace pprof::elf {

// The function of that name; nullptr: none, as under valgrind and some emulators. The kernel's own
// image is believed. Any thread. Not async-signal-safe.
const void* FindVdsoFunction(const char* name) noexcept;

}  // namespace pprof::elf
