// The DWARF of one file: its units, which of them cover given addresses, and one loaded unit at a
// time for walking. Reads strings and references itself, so that neither another section nor
// another file has to be in libdw's reach. Used by UnitWalk, FunctionNames and DwarfReader.
// Formats: DWARF 5 sections 7.5 (units, forms), 7.26 (string offsets); DWARF 4 section 7.5.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "src/pprof/symbolize/dwarf_image.h"
#include "src/pprof/symbolize/elf_file.h"
#include "src/pprof/symbolize/section_data.h"

namespace pprof::symbolize {

struct UnitHeader {
  std::uint64_t begin = 0;  // offset in .debug_info of the header
  std::uint64_t end = 0;
  std::uint8_t version = 0;
  std::uint8_t offset_size = 4;  // 8 in 64-bit DWARF
  std::uint8_t type = 0;         // DW_UT_*; before version 5 always DW_UT_compile
};

// A DIE somewhere: in a file or in the file that it shares pieces with (dwz).
struct DieRef {
  bool alt = false;
  std::uint64_t offset = 0;  // in .debug_info
  bool operator==(const DieRef& o) const { return alt == o.alt && offset == o.offset; }
};

// Addresses [first, first + count) of the sorted ones, found in one unit.
struct UnitAddresses {
  std::size_t unit = 0;              // index in units()
  std::vector<std::size_t> indices;  // of addresses, ascending
};

// Not async-signal-safe. One thread at a time. The ElfFile must outlive it.
class DwarfFile {
 public:
  // False if there is no usable DWARF (damaged, over the budget). `alt` may be null.
  bool Open(const ElfFile& file, DwarfFile* alt, bool is_alt, MemoryBudget* budget);

  const ElfFile& elf() const { return *elf_; }
  const std::vector<UnitHeader>& units() const { return units_; }
  SectionData& line() { return line_; }
  SectionData& line_strings() { return line_strings_; }
  SectionData& strings() { return strings_; }

  // Which unit covers which of the sorted addresses. Each address goes to the first unit that
  // claims it.
  std::vector<UnitAddresses> Assign(const std::vector<std::uint64_t>& addresses);

  // Loads a unit; its own DIE. False if it is damaged. Ends everything from the unit before.
  bool Load(std::size_t unit, Dwarf_Die* die);
  // Loads the unit around a DIE, if it is not loaded yet, and gives the DIE.
  bool LoadDie(std::uint64_t offset, Dwarf_Die* die);
  // A DIE of the loaded unit by its offset in .debug_info; false if it lies elsewhere.
  bool LocalDie(std::uint64_t offset, Dwarf_Die* die);
  std::uint64_t OffsetOf(Dwarf_Die* die) const;

  // Attributes of DIEs of the loaded unit. False (or empty): not such a form, or damaged.
  std::string StringOf(Dwarf_Attribute* attribute);
  bool RefOf(Dwarf_Attribute* attribute, DieRef* ref);
  // libdw would compare it with the size of a section that it does not see.
  bool SectionOffsetOf(Dwarf_Attribute* attribute, std::uint64_t* offset) const;

 private:
  bool ScanUnits();
  std::size_t FillHeads(std::size_t first, std::vector<std::size_t>* packed);
  bool RawForm(Dwarf_Attribute* attribute, std::uint64_t* value) const;
  std::string IndexedString(std::uint64_t index);

  const ElfFile* elf_ = nullptr;
  DwarfFile* alt_ = nullptr;
  bool is_alt_ = false;
  SectionData info_, abbrev_, address_, ranges_, range_lists_;
  SectionData strings_, line_strings_, string_offsets_, line_;
  std::vector<UnitHeader> units_;
  DwarfImage image_;
  Dwarf* dwarf_ = nullptr;
  const UnitHeader* loaded_ = nullptr;
  std::uint64_t string_offsets_base_ = 0;
};

}  // namespace pprof::symbolize
