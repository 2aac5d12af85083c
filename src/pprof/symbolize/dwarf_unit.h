// The head of a DWARF unit and the values of attributes, as bytes. Used by Abbreviations and
// DwarfFile. Formats: DWARF 5 sections 7.5.1 (units), 7.5.5 and 7.5.6 (forms).
#pragma once

#include <cstdint>

#include "src/pprof/symbolize/byte_reader.h"

namespace pprof::symbolize {

struct UnitHeader {
  std::uint64_t begin = 0;  // offset in .debug_info of the header
  std::uint64_t end = 0;
  std::uint64_t abbreviations = 0;  // offset in .debug_abbrev
  std::uint64_t dwo_id = 0;         // of skeleton and split units of version 5
  std::uint8_t size = 0;            // of the header itself
  std::uint8_t version = 0;
  std::uint8_t offset_size = 4;  // 8 in 64-bit DWARF
  std::uint8_t type = 0;         // DW_UT_*; before version 5 always DW_UT_compile
};

// Reads the unit header at offset `at`. False: without a length there is no way to the next unit.
// `usable`: a unit with code, in a version that we know.
bool ParseUnitHeader(ByteReader reader, std::uint64_t at, std::uint64_t section_size,
                     UnitHeader* unit, bool* usable);

struct FormValue {
  std::uint16_t form = 0;  // 0: the attribute is not there
  // Constant, address, offset or index. DW_FORM_string: offset of the text in the unit's bytes.
  std::uint64_t number = 0;
  explicit operator bool() const { return form != 0; }
};

// Bytes of a form; negative: its own bytes say how many, or we do not know it.
int FormWidth(unsigned form, const UnitHeader& unit);

// Reads one value and moves behind it. `implicit`: of DW_FORM_implicit_const. `begin`: of the
// unit's bytes. False if the form is unknown or the bytes end.
bool ReadForm(ByteReader* reader, unsigned form, std::int64_t implicit, const UnitHeader& unit,
              const std::uint8_t* begin, FormValue* value);

}  // namespace pprof::symbolize
