// Finds, for the addresses inside one unit, the function and the chain of functions inlined into
// it. The walk goes only where a wanted address lies; it follows no types. Used by DwarfReader.
// DWARF 5 sections 3.3.1 and 3.3.8.
#pragma once

#include <elfutils/libdw.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pprof::symbolize {

// Steps (DIEs and ranges looked at) that may still be taken for a module: hostile DWARF can ask for
// the square of its size.
class WorkBudget {
 public:
  explicit WorkBudget(std::uint64_t steps) : left_(steps) {}
  bool Step() {
    if (left_ == 0) return false;
    --left_;
    return true;
  }
  bool exhausted() const { return left_ == 0; }

 private:
  std::uint64_t left_;
};

struct ChainEntry {
  Dwarf_Die die = {};  // subprogram or inlined_subroutine; valid while the unit is loaded
  unsigned depth = 0;
};

// Outermost first. Empty: no function of this unit covers the address.
using Chain = std::vector<ChainEntry>;

// One chain for each of the sorted addresses. Not async-signal-safe. One thread at a time.
std::vector<Chain> WalkUnit(Dwarf_Die* unit, const std::vector<std::uint64_t>& addresses,
                            WorkBudget* work);

}  // namespace pprof::symbolize
