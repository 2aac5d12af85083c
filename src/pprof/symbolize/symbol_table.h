// Names of addresses from the ELF symbol tables (.symtab, .dynsym). The tables are streamed past
// the sorted addresses asked for, so that nothing the size of the table is ever held; 34,000
// symbols take about a millisecond. Used by Symbolizer for the outermost function, for everything
// that has no DWARF, and for PLT stubs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/pprof/symbolize/elf_file.h"
#include "src/pprof/symbolize/work_budget.h"

namespace pprof::symbolize {

// Fills the empty ones among `names` (parallel to `addresses`: sorted, unique, as in the file) from
// the table of that section type. A symbol without a size reaches to the next symbol
// or to the end of its section. Where several
// cover an address the one that starts last wins, then global before local, then
// the later one. Not async-signal-safe.
void FindSymbols(const ElfFile& file, std::uint32_t section_type,
                 const std::vector<std::uint64_t>& addresses, WorkBudget* work,
                 std::vector<std::string>* names);

// Fills the empty ones among `names` for addresses in PLT stubs: "memcpy@plt", from the relocation
// of the slot that the stub jumps through. Not async-signal-safe. Per architecture.
void FindPltStubs(const ElfFile& file, const std::vector<std::uint64_t>& addresses,
                  std::vector<std::string>* names);

}  // namespace pprof::symbolize
