// Split DWARF: the program keeps lines and addresses, and a .dwo file has the functions of a unit
// (gcc and clang -gsplit-dwarf). Packages of them (.dwp) are not read. Used by DwarfReader. DWARF 5
// section 7.3.2; before version 5: gcc.gnu.org/wiki/DebugFission.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "src/pprof/symbolize/dwarf_file.h"
#include "src/pprof/symbolize/elf_file.h"

namespace pprof::symbolize {

struct DwoLink {
  std::string name;  // empty: the unit is whole
  std::uint64_t id = 0;
};

// What the loaded unit with that DIE was split off as. Not async-signal-safe.
DwoLink DwoLinkOf(DwarfFile* file, const Die& unit);

// The file: at its name, below `directory` (where the compiler ran) if that is relative, else in
// `beside`, which ends in a slash. nullptr: not there. Not async-signal-safe.
std::unique_ptr<ElfFile> OpenDwo(const DwoLink& link, const std::string& directory,
                                 const std::string& beside);

}  // namespace pprof::symbolize
