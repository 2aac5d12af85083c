#include "src/pprof/symbolize/dwarf_file.h"

#include <dwarf.h>

#include <algorithm>
#include <cstring>

#include "src/pprof/symbolize/byte_reader.h"

namespace pprof::symbolize {
namespace {

constexpr std::size_t kMaxUnits = 1u << 20;
// A unit's own DIE lies in its first bytes; more of it is not read to learn what the unit covers.
constexpr std::size_t kHead = 2048;
constexpr std::size_t kMinWindow = 128 * kHead;

// Reads a unit header; false ends the scan: without a length there is no way to the next unit.
bool ParseHeader(ByteReader reader, std::uint64_t at, std::uint64_t section_size, UnitHeader* unit,
                 bool* usable) {
  unit->begin = at;
  std::uint64_t length = reader.U32(), prefix = 4;
  unit->offset_size = 4;
  if (length == 0xffffffff) {
    length = reader.Fixed(8);
    prefix = 12;
    unit->offset_size = 8;
  }
  if (!reader.ok() || length > section_size - at - prefix || length == 0) return false;
  unit->end = at + prefix + length;
  unit->version = static_cast<std::uint8_t>(std::min<unsigned>(reader.U16(), 255));
  std::uint8_t address_size = 0;
  if (unit->version >= 5) {
    unit->type = reader.U8();
    address_size = reader.U8();
    reader.Skip(unit->offset_size);
  } else {
    unit->type = DW_UT_compile;
    reader.Skip(unit->offset_size);
    address_size = reader.U8();
  }
  const bool known = unit->version >= 2 && unit->version <= 5;
  *usable =
      reader.ok() && known && address_size == 8 &&
      (unit->type == DW_UT_compile || unit->type == DW_UT_partial || unit->type == DW_UT_skeleton);
  return true;
}

void PatchLength(std::uint8_t* unit, const UnitHeader& header, std::size_t size) {
  if (header.offset_size == 8) {
    const std::uint64_t length = size - 12;
    std::memcpy(unit + 4, &length, sizeof length);
  } else {
    const auto length = static_cast<std::uint32_t>(size - 4);
    std::memcpy(unit, &length, sizeof length);
  }
}

// Marks the addresses inside the ranges of a unit's DIE.
void Claim(Dwarf_Die* die, const ElfFile& elf, const std::vector<std::uint64_t>& addresses,
           std::vector<bool>* taken, std::vector<std::size_t>* claimed) {
  Dwarf_Addr base = 0, start = 0, limit = 0;
  for (std::ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &start, &limit)) > 0;) {
    if (start >= limit || !elf.IsCode(start)) continue;
    const auto first = std::lower_bound(addresses.begin(), addresses.end(), start);
    for (auto i = static_cast<std::size_t>(first - addresses.begin());
         i < addresses.size() && addresses[i] < limit; ++i) {
      if ((*taken)[i]) continue;
      (*taken)[i] = true;
      claimed->push_back(i);
    }
  }
  std::sort(claimed->begin(), claimed->end());
}

// Bytes of a form that holds a string or a reference; 0: a ULEB128 (ref_udata, strx).
std::size_t FormWidth(unsigned form, const UnitHeader& unit) {
  switch (form) {
    case DW_FORM_ref1:
    case DW_FORM_strx1:
      return 1;
    case DW_FORM_ref2:
    case DW_FORM_strx2:
      return 2;
    case DW_FORM_strx3:
      return 3;
    case DW_FORM_ref4:
    case DW_FORM_strx4:
    case DW_FORM_ref_sup4:
    case DW_FORM_data4:
      return 4;
    case DW_FORM_ref8:
    case DW_FORM_ref_sup8:
    case DW_FORM_data8:
      return 8;
    case DW_FORM_ref_addr:  // the size of an address in version 2
      return unit.version <= 2 ? 8 : unit.offset_size;
    case DW_FORM_strp:
    case DW_FORM_line_strp:
    case DW_FORM_strp_sup:
    case DW_FORM_GNU_strp_alt:
    case DW_FORM_GNU_ref_alt:
    case DW_FORM_sec_offset:
      return unit.offset_size;
    default:
      return 0;
  }
}

}  // namespace

bool DwarfFile::Open(const ElfFile& file, DwarfFile* alt, bool is_alt, MemoryBudget* budget) {
  elf_ = &file;
  alt_ = alt;
  is_alt_ = is_alt;
  const std::pair<SectionData*, const char*> wanted[] = {{&info_, "info"},
                                                         {&abbrev_, "abbrev"},
                                                         {&address_, "addr"},
                                                         {&ranges_, "ranges"},
                                                         {&range_lists_, "rnglists"},
                                                         {&strings_, "str"},
                                                         {&line_strings_, "line_str"},
                                                         {&string_offsets_, "str_offsets"},
                                                         {&line_, "line"}};
  for (const auto& [data, suffix] : wanted) {
    if (!data->Open(file, file.FindDebug(suffix), budget)) return false;
  }
  if (info_.size() == 0 || abbrev_.size() == 0 || !ScanUnits()) return false;
  std::uint64_t window = kMinWindow;
  for (const UnitHeader& unit : units_) window = std::max(window, unit.end - unit.begin);
  if (window > budget->left()) return budget->Take(window);
  return image_.Create({&abbrev_, &address_, &ranges_, &range_lists_},
                       static_cast<std::size_t>(window), budget);
}

bool DwarfFile::ScanUnits() {
  std::uint8_t header[32] = {};
  for (std::uint64_t at = 0; info_.size() - at > 12 && units_.size() < kMaxUnits;) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(sizeof header, info_.size() - at));
    if (!info_.Read(at, header, size)) return false;
    UnitHeader unit;
    bool usable = false;
    if (!ParseHeader(ByteReader(header, size), at, info_.size(), &unit, &usable)) break;
    if (usable) units_.push_back(unit);
    at = unit.end;
  }
  return !units_.empty();
}

// Puts the heads of units from `first` on side by side into the window, each as a unit of its own
// length. Returns the bytes used; `packed` has the units.
std::size_t DwarfFile::FillHeads(std::size_t first, std::vector<std::size_t>* packed) {
  std::size_t used = 0;
  packed->clear();
  for (std::size_t i = first; i < units_.size() && image_.window_size() - used >= kHead; ++i) {
    const UnitHeader& unit = units_[i];
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(unit.end - unit.begin, kHead));
    if (size < 24 || !info_.Read(unit.begin, image_.window() + used, size)) {
      if (packed->empty()) ++first;
      continue;
    }
    PatchLength(image_.window() + used, unit, size);
    packed->push_back(i);
    used += size;
  }
  return used;
}

std::vector<UnitAddresses> DwarfFile::Assign(const std::vector<std::uint64_t>& addresses) {
  std::vector<UnitAddresses> result;
  std::vector<bool> taken(addresses.size());
  std::vector<std::size_t> packed;
  loaded_ = nullptr;
  for (std::size_t next = 0; next < units_.size();) {
    image_.Close();
    const std::size_t used = FillHeads(next, &packed);
    if (packed.empty()) break;
    next = packed.back() + 1;
    Dwarf* dwarf = image_.Open(used);
    if (dwarf == nullptr) continue;
    Dwarf_CU* cu = nullptr;
    for (const std::size_t unit : packed) {
      Dwarf_Half version = 0;
      std::uint8_t type = 0;
      Dwarf_Die die = {};
      if (dwarf_get_units(dwarf, cu, &cu, &version, &type, &die, nullptr) != 0) break;
      UnitAddresses found;
      found.unit = unit;
      if (dwarf_tag(&die) != DW_TAG_partial_unit)
        Claim(&die, *elf_, addresses, &taken, &found.indices);
      if (!found.indices.empty()) result.push_back(std::move(found));
    }
  }
  image_.Close();
  return result;
}

bool DwarfFile::Load(std::size_t unit, Dwarf_Die* die) {
  loaded_ = nullptr;
  image_.Close();
  const UnitHeader& header = units_[unit];
  const auto size = static_cast<std::size_t>(header.end - header.begin);
  if (size > image_.window_size() || !info_.Read(header.begin, image_.window(), size)) return false;
  dwarf_ = image_.Open(size);
  if (dwarf_ == nullptr) return false;
  Dwarf_CU* cu = nullptr;
  Dwarf_Half version = 0;
  std::uint8_t type = 0;
  if (dwarf_get_units(dwarf_, nullptr, &cu, &version, &type, die, nullptr) != 0) return false;
  loaded_ = &header;
  string_offsets_base_ = header.offset_size == 8 ? 16 : 8;
  Dwarf_Attribute attribute = {};
  std::uint64_t base = 0;
  if (dwarf_attr(die, DW_AT_str_offsets_base, &attribute) != nullptr &&
      SectionOffsetOf(&attribute, &base))
    string_offsets_base_ = base;
  return true;
}

bool DwarfFile::LoadDie(std::uint64_t offset, Dwarf_Die* die) {
  if (LocalDie(offset, die)) return true;
  const auto after = std::upper_bound(
      units_.begin(), units_.end(), offset,
      [](std::uint64_t value, const UnitHeader& unit) { return value < unit.begin; });
  if (after == units_.begin() || offset >= (after - 1)->end) return false;
  Dwarf_Die unit_die = {};
  const auto unit = static_cast<std::size_t>(after - 1 - units_.begin());
  return &units_[unit] != loaded_ && Load(unit, &unit_die) && LocalDie(offset, die);
}

bool DwarfFile::LocalDie(std::uint64_t offset, Dwarf_Die* die) {
  if (loaded_ == nullptr || offset <= loaded_->begin || offset >= loaded_->end) return false;
  return dwarf_offdie(dwarf_, offset - loaded_->begin, die) != nullptr;
}

std::uint64_t DwarfFile::OffsetOf(Dwarf_Die* die) const {
  return loaded_->begin + dwarf_dieoffset(die);
}

// The number behind a form, as it stands in the unit.
bool DwarfFile::RawForm(Dwarf_Attribute* attribute, std::uint64_t* value) const {
  const std::uint8_t* unit = image_.window();
  const auto size = static_cast<std::size_t>(loaded_->end - loaded_->begin);
  if (attribute->valp < unit || attribute->valp >= unit + size) return false;
  ByteReader reader(attribute->valp, static_cast<std::size_t>(unit + size - attribute->valp));
  const std::size_t width = FormWidth(attribute->form, *loaded_);
  *value = width > 0 ? reader.Fixed(width) : reader.Uleb();
  return reader.ok();
}

std::string DwarfFile::IndexedString(std::uint64_t index) {
  std::uint64_t offset = 0;
  const std::size_t width = loaded_->offset_size;
  if (index > string_offsets_.size() / width) return {};
  if (!string_offsets_.Read(string_offsets_base_ + index * width, &offset, width)) return {};
  return strings_.String(offset);
}

std::string DwarfFile::StringOf(Dwarf_Attribute* attribute) {
  std::uint64_t value = 0;
  if (attribute->form == DW_FORM_string) {
    const std::uint8_t* end = image_.window() + (loaded_->end - loaded_->begin);
    if (attribute->valp < image_.window() || attribute->valp >= end) return {};
    ByteReader reader(attribute->valp, static_cast<std::size_t>(end - attribute->valp));
    return std::string(reader.String().substr(0, SectionData::kMaxString));
  }
  if (!RawForm(attribute, &value)) return {};
  switch (attribute->form) {
    case DW_FORM_strp:
      return strings_.String(value);
    case DW_FORM_line_strp:
      return line_strings_.String(value);
    case DW_FORM_strp_sup:
    case DW_FORM_GNU_strp_alt:
      return alt_ != nullptr ? alt_->strings_.String(value) : std::string();
    case DW_FORM_strx:
    case DW_FORM_strx1:
    case DW_FORM_strx2:
    case DW_FORM_strx3:
    case DW_FORM_strx4:
      return IndexedString(value);
    default:
      return {};
  }
}

bool DwarfFile::SectionOffsetOf(Dwarf_Attribute* attribute, std::uint64_t* offset) const {
  switch (attribute->form) {
    case DW_FORM_sec_offset:
    case DW_FORM_data4:  // before version 4
    case DW_FORM_data8:
      return RawForm(attribute, offset);
    default:
      return false;
  }
}

bool DwarfFile::RefOf(Dwarf_Attribute* attribute, DieRef* ref) {
  std::uint64_t value = 0;
  if (!RawForm(attribute, &value)) return false;
  switch (attribute->form) {
    case DW_FORM_ref1:
    case DW_FORM_ref2:
    case DW_FORM_ref4:
    case DW_FORM_ref8:
    case DW_FORM_ref_udata:
      *ref = {is_alt_, loaded_->begin + value};
      return value < loaded_->end - loaded_->begin;
    case DW_FORM_ref_addr:
      *ref = {is_alt_, value};
      return true;
    case DW_FORM_GNU_ref_alt:
    case DW_FORM_ref_sup4:
    case DW_FORM_ref_sup8:
      *ref = {true, value};
      return !is_alt_;
    default:
      return false;
  }
}

}  // namespace pprof::symbolize
