// Finds, for the addresses inside one unit, the function and the chain of functions inlined into
// it. The walk goes only where a wanted address lies; it follows no types. Used by DwarfReader.
// DWARF 5 sections 3.3.1 and 3.3.8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/pprof/symbolize/dwarf_file.h"

namespace pprof::symbolize {

struct ChainEntry {
  Die die;  // subprogram or inlined_subroutine; valid while the unit is loaded
  unsigned depth = 0;
};

// Outermost first. Empty: no function of this unit covers the address.
using Chain = std::vector<ChainEntry>;

// One chain for each of the sorted addresses, from the loaded unit of `file` whose own DIE is
// `unit`. `padding`: which of them are known to lie in no function; only where others find none is
// the whole unit searched. What a chain takes comes out of `budget`;
// beyond it, chains are cut and it is exceeded. Not async-signal-safe. One thread at a time.
std::vector<Chain> WalkUnit(DwarfFile* file, const Die& unit,
                            const std::vector<std::uint64_t>& addresses,
                            const std::vector<bool>& padding, MemoryBudget* budget);

}  // namespace pprof::symbolize
