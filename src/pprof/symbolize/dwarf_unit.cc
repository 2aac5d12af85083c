#include "src/pprof/symbolize/dwarf_unit.h"

#include <algorithm>

#include "src/pprof/symbolize/dwarf_constants.h"

namespace pprof::symbolize {
namespace {

constexpr unsigned kMaxIndirections = 4;

bool IsCodeUnit(const UnitHeader& unit) {
  switch (unit.type) {
    case DW_UT_compile:
    case DW_UT_partial:
    case DW_UT_skeleton:
    case DW_UT_split_compile:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool ParseUnitHeader(ByteReader reader, std::uint64_t at, std::uint64_t section_size,
                     UnitHeader* unit, bool* usable) {
  const std::uint8_t* begin = reader.position();
  std::uint64_t length = reader.U32(), prefix = 4;
  if (length == 0xffffffff) {
    length = reader.Fixed(8);
    prefix = 12;
    unit->offset_size = 8;
  }
  if (!reader.ok() || section_size - at < prefix || length > section_size - at - prefix ||
      length == 0)
    return false;
  unit->begin = at;
  unit->end = at + prefix + length;
  unit->version = static_cast<std::uint8_t>(std::min<unsigned>(reader.U16(), 255));
  std::uint8_t address_size = 0;
  if (unit->version >= 5) {
    unit->type = reader.U8();
    address_size = reader.U8();
    unit->abbreviations = reader.Fixed(unit->offset_size);
    if (unit->type == DW_UT_skeleton || unit->type == DW_UT_split_compile)
      unit->dwo_id = reader.Fixed(8);
  } else {
    unit->type = DW_UT_compile;
    unit->abbreviations = reader.Fixed(unit->offset_size);
    address_size = reader.U8();
  }
  unit->size = static_cast<std::uint8_t>(reader.position() - begin);
  const bool known = unit->version >= 2 && unit->version <= 5;
  *usable = reader.ok() && known && address_size == 8 && unit->size < unit->end - unit->begin &&
            IsCodeUnit(*unit);
  return true;
}

// long: a table of the standard
int FormWidth(unsigned form, const UnitHeader& unit) {
  switch (form) {
    case DW_FORM_flag_present:
    case DW_FORM_implicit_const:
      return 0;
    case DW_FORM_data1:
    case DW_FORM_flag:
    case DW_FORM_ref1:
    case DW_FORM_strx1:
    case DW_FORM_addrx1:
      return 1;
    case DW_FORM_data2:
    case DW_FORM_ref2:
    case DW_FORM_strx2:
    case DW_FORM_addrx2:
      return 2;
    case DW_FORM_strx3:
    case DW_FORM_addrx3:
      return 3;
    case DW_FORM_data4:
    case DW_FORM_ref4:
    case DW_FORM_strx4:
    case DW_FORM_addrx4:
    case DW_FORM_ref_sup4:
      return 4;
    case DW_FORM_addr:
    case DW_FORM_data8:
    case DW_FORM_ref8:
    case DW_FORM_ref_sup8:
    case DW_FORM_ref_sig8:
      return 8;
    case DW_FORM_data16:
      return 16;
    case DW_FORM_ref_addr:  // the size of an address in version 2
      return unit.version <= 2 ? 8 : unit.offset_size;
    case DW_FORM_strp:
    case DW_FORM_line_strp:
    case DW_FORM_strp_sup:
    case DW_FORM_sec_offset:
    case DW_FORM_GNU_strp_alt:
    case DW_FORM_GNU_ref_alt:
      return unit.offset_size;
    default:
      return -1;
  }
}

namespace {

// A form whose own bytes say how long it is.
bool ReadVarying(ByteReader* reader, const std::uint8_t* begin, FormValue* value) {
  switch (value->form) {
    case DW_FORM_udata:
    case DW_FORM_ref_udata:
    case DW_FORM_strx:
    case DW_FORM_addrx:
    case DW_FORM_loclistx:
    case DW_FORM_rnglistx:
    case DW_FORM_GNU_addr_index:
    case DW_FORM_GNU_str_index:
      value->number = reader->Uleb();
      break;
    case DW_FORM_sdata:
      value->number = static_cast<std::uint64_t>(reader->Sleb());
      break;
    case DW_FORM_string:
      value->number = static_cast<std::uint64_t>(reader->position() - begin);
      reader->String();
      break;
    case DW_FORM_block1:
      reader->Skip(reader->U8());
      break;
    case DW_FORM_block2:
      reader->Skip(reader->U16());
      break;
    case DW_FORM_block4:
      reader->Skip(reader->U32());
      break;
    case DW_FORM_block:
    case DW_FORM_exprloc:
      reader->Skip(reader->Uleb());
      break;
    default:
      return false;
  }
  return reader->ok();
}

}  // namespace

bool ReadForm(ByteReader* reader, unsigned form, std::int64_t implicit, const UnitHeader& unit,
              const std::uint8_t* begin, FormValue* value) {
  for (unsigned i = 0; form == DW_FORM_indirect && i < kMaxIndirections; ++i)
    form = static_cast<unsigned>(std::min<std::uint64_t>(reader->Uleb(), 0xffff));
  value->form = static_cast<std::uint16_t>(form);
  value->number = 0;
  const int width = FormWidth(form, unit);
  if (width < 0) return ReadVarying(reader, begin, value);
  if (width <= 8)
    value->number = reader->Fixed(static_cast<std::size_t>(width));
  else
    reader->Skip(static_cast<std::uint64_t>(width));
  if (form == DW_FORM_flag_present) value->number = 1;
  if (form == DW_FORM_implicit_const) value->number = static_cast<std::uint64_t>(implicit);
  return reader->ok();
}

}  // namespace pprof::symbolize
