// Copies memory of loaded modules. Another thread may unload a module at any moment, so nothing of
// it is ever read through a pointer: the kernel copies, and says so when the memory is gone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/pprof/base/large_vector.h"

namespace pprof::elf {

// Exactly `size` bytes from `address` of this process. False: not readable (any more).
// Any thread. Not async-signal-safe.
bool CopyMemory(std::uint64_t address, void* to, std::size_t size) noexcept;

// Up to `size` bytes, in one buffer; shorter when the memory ends earlier. May throw
// std::bad_alloc.
base::LargeVector<std::uint8_t> CopyMemoryUpTo(std::uint64_t address, std::size_t size);

}  // namespace pprof::elf
