// One table of .debug_abbrev: which attributes the DIEs of a unit have. Used by DwarfFile. Format:
// DWARF 5 section 7.5.3.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "src/pprof/base/large_vector.h"
#include "src/pprof/symbolize/dwarf_unit.h"
#include "src/pprof/symbolize/section_data.h"
#include "src/pprof/symbolize/work_budget.h"

namespace pprof::symbolize {

struct AttributeSpec {
  std::uint16_t name = 0;
  std::uint16_t form = 0;
  std::int8_t width = 0;  // FormWidth()
  std::int64_t implicit = 0;
};

struct Abbreviation {
  std::uint64_t code = 0;
  std::uint16_t tag = 0;
  bool has_children = false;
  bool has_code = false;  // DW_AT_low_pc or DW_AT_ranges
  bool has_sibling = false;
  std::int32_t size = 0;  // of all attributes; negative: not always the same
  std::uint32_t first = 0, count = 0;
};

// Not async-signal-safe. One thread at a time.
class Abbreviations {
 public:
  // Reads the table of `unit`; with `last`, only up to the declaration of that code. False if it
  // is damaged, or larger than any that compilers write.
  bool Read(SectionData* section, const UnitHeader& unit, std::uint64_t last, WorkBudget* work);

  const Abbreviation* Find(std::uint64_t code) const {
    if (code - 1 < table_.size() && table_[code - 1].code == code) return &table_[code - 1];
    return FindUnordered(code);
  }
  const AttributeSpec* specs(const Abbreviation& of) const { return specs_.data() + of.first; }

 private:
  bool ReadSpecs(SectionData* section, std::uint64_t* at, const UnitHeader& unit,
                 Abbreviation* abbreviation);
  const Abbreviation* FindUnordered(std::uint64_t code) const;

  base::LargeVector<Abbreviation> table_;
  base::LargeVector<AttributeSpec> specs_;
  std::unordered_map<std::uint64_t, std::size_t> unordered_;  // codes that are not their position
};

}  // namespace pprof::symbolize
