// What a PLT stub says of itself. One file an architecture.
#pragma once

#include <cstdint>

#include "src/pprof/symbolize/elf_file.h"
#include "src/pprof/symbolize/section_data.h"

namespace pprof::symbolize {

// The address of the slot that the stub around `address` jumps through; 0: not understood. `code`
// is the content of `section`, which holds `address`.
std::uint64_t PltSlot(const SectionData& code, const ElfSection& section, std::uint64_t address);

}  // namespace pprof::symbolize
