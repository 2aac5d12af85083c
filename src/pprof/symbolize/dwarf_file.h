// The DWARF of one file: its units, which of them cover given addresses, and one loaded unit at a
// time: its DIEs, their attributes, strings, references and ranges. A file with gigabytes of DWARF
// is read in the memory of its largest unit. Every byte is looked at through a checked reader: no
// content of a file can do more than give wrong names. Used by UnitWalk, FunctionNames, LineTable
// and DwarfReader. Formats: DWARF 5 chapter 7, DWARF 2 to 4 chapter 7; dwz(1).
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "src/pprof/base/large_vector.h"
#include "src/pprof/symbolize/abbreviations.h"
#include "src/pprof/symbolize/dwarf_unit.h"
#include "src/pprof/symbolize/elf_file.h"
#include "src/pprof/symbolize/section_data.h"
#include "src/pprof/symbolize/work_budget.h"

namespace pprof::symbolize {

// A DIE somewhere: in a file or in the file that it shares pieces with (dwz).
struct DieRef {
  bool alt = false;
  std::uint64_t offset = 0;  // in .debug_info
};

// A DIE of the loaded unit; valid until another unit is loaded.
struct Die {
  const Abbreviation* abbreviation = nullptr;  // nullptr: the end of a list of children
  std::uint64_t offset = 0;                    // from the unit's begin
  std::uint64_t attributes = 0;                // where they begin, from the unit's begin
};

// What says which addresses a DIE covers.
struct Extent {
  FormValue low, high, ranges;
};

// Where the iteration over the ranges of a DIE stands.
struct RangeCursor {
  enum class Kind : std::uint8_t { kNone, kSingle, kPairs, kEntries } kind = Kind::kNone;
  std::uint64_t at = 0;    // in .debug_ranges, .debug_rnglists
  std::uint64_t base = 0;  // what offsets in the list are added to
  std::uint64_t low = 0, high = 0;
};

// The addresses, by index, that were found in one unit.
struct UnitAddresses {
  std::size_t unit = 0;
  std::vector<std::size_t> indices;  // ascending
};

// Not async-signal-safe. One thread at a time. The ElfFile must outlive it.
class DwarfFile {
 public:
  // False if there is no usable DWARF (damaged, over the budget). `alt` may be null. `work` must
  // outlive this.
  bool Open(const ElfFile& file, DwarfFile* alt, bool is_alt, MemoryBudget* budget,
            WorkBudget* work);

  // The .dwo file of the unit that `skeleton` has loaded, which must stay loaded. False also if it
  // is of another unit; else its own unit is loaded and `die` set.
  bool OpenSplit(const ElfFile& file, DwarfFile* skeleton, std::uint64_t id, MemoryBudget* budget,
                 Die* die);

  const ElfFile& elf() const { return *elf_; }
  WorkBudget* work() const { return work_; }
  SectionData& line() { return line_; }
  SectionData& line_strings() { return line_strings_; }
  SectionData& strings() { return strings_; }

  // Which unit covers which of the sorted addresses. Each address goes to the first unit that
  // claims it.
  std::vector<UnitAddresses> Assign(const std::vector<std::uint64_t>& addresses);

  const UnitHeader& header() const { return loaded_.header; }  // of the loaded unit
  // Loads a unit; its own DIE. False if it is damaged. Ends everything from the unit before.
  bool Load(std::size_t unit, Die* die);
  // Loads the unit around a DIE, if it is not loaded yet, and gives the DIE.
  bool LoadDie(std::uint64_t offset, Die* die);
  // A DIE of the loaded unit by its offset in .debug_info; false if it lies elsewhere.
  bool LocalDie(std::uint64_t offset, Die* die);
  std::uint64_t OffsetOf(const Die& die) const { return loaded_.header.begin + die.offset; }

  // The loaded unit from an offset on.
  ByteReader BytesAt(std::uint64_t offset) const;
  // Reads the head of the DIE under the reader, which then stands at its attributes; false:
  // damaged.
  bool ReadDie(ByteReader* reader, Die* die) const;
  // Moves over the attributes of a DIE.
  bool SkipAttributes(const Die& die, ByteReader* reader) const;

  // Calls visit(name, value) for each attribute until it returns false; false: damaged.
  template <typename Visit>
  bool ForEachAttribute(const Die& die, Visit visit) const {
    ByteReader reader = BytesAt(die.attributes);
    const AttributeSpec* spec = loaded_.abbreviations.specs(*die.abbreviation);
    for (std::uint32_t i = 0; i < die.abbreviation->count; ++i, ++spec) {
      FormValue value;
      if (spec->width > 0 && spec->width <= 8)
        value = {spec->form, reader.Fixed(static_cast<std::size_t>(spec->width))};
      else if (!ReadForm(&reader, spec->form, spec->implicit, loaded_.header, loaded_.bytes.data(),
                         &value))
        return false;
      if (!visit(spec->name, value)) break;
    }
    return reader.ok();
  }
  FormValue Attribute(const Die& die, unsigned name) const;
  Extent ExtentOf(const Die& die) const;

  // Values of the loaded unit. False (or empty): not such a form, or damaged.
  std::string StringOf(const FormValue& value);
  bool RefOf(const FormValue& value, DieRef* ref) const;
  bool AddressOf(const FormValue& value, std::uint64_t* address);

  RangeCursor StartRanges(const Extent& extent);
  // The next range that is not empty; false: no more.
  bool NextRange(RangeCursor* cursor, std::uint64_t* start, std::uint64_t* limit);

 private:
  struct LoadedUnit {
    UnitHeader header;
    base::LargeVector<std::uint8_t> bytes;
    std::uint64_t size = 0;  // of what is loaded; 0: nothing
    Abbreviations abbreviations;
    std::uint64_t string_offsets = 0, addresses = 0, range_lists = 0;  // bases
    std::uint64_t split_ranges = 0;  // DW_AT_GNU_ranges_base: for the ranges of its .dwo file
    std::uint64_t low_pc = 0;
  };

  bool OpenSections(const ElfFile& file, const char* suffix, MemoryBudget* budget);
  bool ScanUnits(MemoryBudget* budget);
  bool LoadBytes(const UnitHeader& header, std::uint64_t size, bool head_only, Die* die);
  void ReadBases(const Die& die);
  void Claim(const Die& die, const std::vector<std::uint64_t>& addresses, std::vector<bool>* taken,
             std::vector<std::size_t>* claimed);
  std::string IndexedString(std::uint64_t index);
  bool IndexedAddress(std::uint64_t index, std::uint64_t* address);
  bool NextPair(RangeCursor* cursor, std::uint64_t* start, std::uint64_t* limit);
  bool NextEntry(RangeCursor* cursor, std::uint64_t* start, std::uint64_t* limit);

  const ElfFile* elf_ = nullptr;
  DwarfFile* alt_ = nullptr;
  DwarfFile* skeleton_ = nullptr;  // has the addresses of this .dwo file
  WorkBudget* work_ = nullptr;
  bool is_alt_ = false;
  SectionData info_, abbrev_, address_, ranges_, range_lists_;
  SectionData strings_, line_strings_, string_offsets_, line_;
  std::deque<UnitHeader> units_;  // never held twice while it grows
  LoadedUnit loaded_;
};

}  // namespace pprof::symbolize
