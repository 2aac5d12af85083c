#include "src/pprof/symbolize/dwarf_file.h"

#include <algorithm>

#include "src/pprof/symbolize/dwarf_constants.h"

namespace pprof::symbolize {
namespace {

constexpr std::size_t kMaxUnits = 1u << 20;
// A unit's own DIE lies in its first bytes; more of it is not read to learn what the unit covers.
constexpr std::uint64_t kHead = 2048;
// What is held beside the largest unit: views, blocks of strings, one table of abbreviations.
constexpr std::size_t kSmallChange = 1u << 20;
// Work that the size of one section grants at most: a sparse file can claim terabytes.
constexpr std::uint64_t kMaxGrant = 64u << 20;

}  // namespace

bool DwarfFile::Open(const ElfFile& file, DwarfFile* alt, bool is_alt, MemoryBudget* budget,
                     WorkBudget* work) {
  alt_ = alt;
  is_alt_ = is_alt;
  work_ = work;
  return OpenSections(file, "", budget);
}

bool DwarfFile::OpenSplit(const ElfFile& file, DwarfFile* skeleton, std::uint64_t id,
                          MemoryBudget* budget, Die* die) {
  skeleton_ = skeleton;
  work_ = skeleton->work_;
  if (!OpenSections(file, ".dwo", budget) || !Load(0, die)) return false;
  const FormValue own_id = Attribute(*die, DW_AT_GNU_dwo_id);
  return (own_id ? own_id.number : loaded_.header.dwo_id) == id;
}

bool DwarfFile::OpenSections(const ElfFile& file, const char* suffix, MemoryBudget* budget) {
  elf_ = &file;
  const std::pair<SectionData*, const char*> wanted[] = {{&info_, "info"},
                                                         {&abbrev_, "abbrev"},
                                                         {&address_, "addr"},
                                                         {&ranges_, "ranges"},
                                                         {&range_lists_, "rnglists"},
                                                         {&strings_, "str"},
                                                         {&line_strings_, "line_str"},
                                                         {&string_offsets_, "str_offsets"},
                                                         {&line_, "line"}};
  for (const auto& [data, name] : wanted) {
    if (!data->Open(file, file.FindDebug(std::string(name) + suffix), budget)) return false;
    work_->Grant(std::min(data->size(), kMaxGrant));
  }
  if (info_.size() == 0 || abbrev_.size() == 0 || !ScanUnits(budget)) return false;
  std::uint64_t largest = 0;
  for (const UnitHeader& unit : units_) largest = std::max(largest, unit.end - unit.begin);
  return budget->Take(largest + kSmallChange);
}

bool DwarfFile::ScanUnits(MemoryBudget* budget) {
  for (std::uint64_t at = 0; info_.size() - at > 12 && units_.size() < kMaxUnits;) {
    UnitHeader unit;
    bool usable = false;
    if (!ParseUnitHeader(info_.At(at), at, info_.size(), &unit, &usable)) break;
    if (usable) units_.push_back(unit);
    at = unit.end;
  }
  return !units_.empty() && budget->Take(units_.size() * sizeof(UnitHeader));
}

std::vector<UnitAddresses> DwarfFile::Assign(const std::vector<std::uint64_t>& addresses) {
  std::vector<UnitAddresses> result;
  std::vector<bool> taken(addresses.size());
  for (std::size_t i = 0; i < units_.size() && work_->Step(); ++i) {
    const UnitHeader& unit = units_[i];
    Die die;
    UnitAddresses found;
    found.unit = i;
    if (!LoadBytes(unit, std::min(unit.end - unit.begin, kHead), true, &die)) continue;
    if (die.abbreviation->tag != DW_TAG_partial_unit) Claim(die, addresses, &taken, &found.indices);
    if (!found.indices.empty()) result.push_back(std::move(found));
  }
  loaded_.size = 0;
  return result;
}

// Marks the addresses inside the ranges of a unit's DIE.
void DwarfFile::Claim(const Die& die, const std::vector<std::uint64_t>& addresses,
                      std::vector<bool>* taken, std::vector<std::size_t>* claimed) {
  RangeCursor cursor = StartRanges(ExtentOf(die));
  for (std::uint64_t start = 0, limit = 0; NextRange(&cursor, &start, &limit);) {
    if (!elf_->IsCode(start)) continue;
    const auto first = std::lower_bound(addresses.begin(), addresses.end(), start);
    for (auto i = static_cast<std::size_t>(first - addresses.begin());
         i < addresses.size() && addresses[i] < limit && work_->Step(); ++i) {
      if ((*taken)[i]) continue;
      (*taken)[i] = true;
      claimed->push_back(i);
    }
  }
  std::sort(claimed->begin(), claimed->end());
}

// `head_only`: of the abbreviations only those up to that of the unit's own DIE.
bool DwarfFile::LoadBytes(const UnitHeader& header, std::uint64_t size, bool head_only, Die* die) {
  loaded_.header = header;
  loaded_.size = 0;
  if (loaded_.bytes.size() < size) loaded_.bytes.resize(static_cast<std::size_t>(size));
  if (!info_.Read(header.begin, loaded_.bytes.data(), static_cast<std::size_t>(size))) return false;
  loaded_.size = size;
  const std::uint64_t code = BytesAt(header.size).Uleb();
  if (loaded_.abbreviations.Read(&abbrev_, header, head_only ? code : 0, work_)) {
    ByteReader reader = BytesAt(header.size);
    if (ReadDie(&reader, die) && die->abbreviation != nullptr) {
      ReadBases(*die);
      return true;
    }
  }
  loaded_.size = 0;
  return false;
}

void DwarfFile::ReadBases(const Die& die) {
  const bool wide = loaded_.header.offset_size == 8;
  loaded_.string_offsets = wide ? 16 : 8;  // behind a header, should the attribute be missing
  loaded_.addresses = wide ? 16 : 8;
  loaded_.range_lists = wide ? 20 : 12;
  loaded_.split_ranges = 0;
  FormValue low;
  ForEachAttribute(die, [&](unsigned name, const FormValue& value) {
    switch (name) {
      case DW_AT_str_offsets_base:
        loaded_.string_offsets = value.number;
        break;
      case DW_AT_addr_base:
      case DW_AT_GNU_addr_base:
        loaded_.addresses = value.number;
        break;
      case DW_AT_GNU_ranges_base:
        loaded_.split_ranges = value.number;
        break;
      case DW_AT_rnglists_base:
        loaded_.range_lists = value.number;
        break;
      case DW_AT_low_pc:
        low = value;
        break;
      default:
        break;
    }
    return true;
  });
  loaded_.low_pc = 0;
  if (skeleton_ != nullptr) {
    loaded_.addresses = skeleton_->loaded_.addresses;
    loaded_.low_pc = skeleton_->loaded_.low_pc;
    if (loaded_.header.version < 5) loaded_.string_offsets = 0;  // no header in front
  }
  AddressOf(low, &loaded_.low_pc);
}

bool DwarfFile::Load(std::size_t unit, Die* die) {
  const UnitHeader& header = units_[unit];
  return LoadBytes(header, header.end - header.begin, false, die);
}

bool DwarfFile::LoadDie(std::uint64_t offset, Die* die) {
  if (LocalDie(offset, die)) return true;
  const auto after = std::upper_bound(
      units_.begin(), units_.end(), offset,
      [](std::uint64_t value, const UnitHeader& unit) { return value < unit.begin; });
  if (after == units_.begin() || offset >= (after - 1)->end) return false;
  const bool loaded = loaded_.size != 0 && loaded_.header.begin == (after - 1)->begin;
  Die unit;
  return !loaded && Load(static_cast<std::size_t>(after - 1 - units_.begin()), &unit) &&
         LocalDie(offset, die);
}

bool DwarfFile::LocalDie(std::uint64_t offset, Die* die) {
  if (loaded_.size == 0 || offset < loaded_.header.begin + loaded_.header.size ||
      offset >= loaded_.header.end)
    return false;
  ByteReader reader = BytesAt(offset - loaded_.header.begin);
  return ReadDie(&reader, die) && die->abbreviation != nullptr;
}

ByteReader DwarfFile::BytesAt(std::uint64_t offset) const {
  const auto from = static_cast<std::size_t>(std::min(offset, loaded_.size));
  return ByteReader(loaded_.bytes.data() + from, static_cast<std::size_t>(loaded_.size) - from);
}

bool DwarfFile::ReadDie(ByteReader* reader, Die* die) const {
  die->offset = static_cast<std::uint64_t>(reader->position() - loaded_.bytes.data());
  const std::uint64_t code = reader->Uleb();
  die->abbreviation = code != 0 ? loaded_.abbreviations.Find(code) : nullptr;
  die->attributes = static_cast<std::uint64_t>(reader->position() - loaded_.bytes.data());
  return reader->ok() && (code == 0 || die->abbreviation != nullptr);
}

bool DwarfFile::SkipAttributes(const Die& die, ByteReader* reader) const {
  if (die.abbreviation->size >= 0) {
    reader->Skip(static_cast<std::uint64_t>(die.abbreviation->size));
    return reader->ok();
  }
  const AttributeSpec* spec = loaded_.abbreviations.specs(*die.abbreviation);
  for (std::uint32_t i = 0; i < die.abbreviation->count; ++i, ++spec) {
    FormValue unused;
    if (spec->width >= 0)
      reader->Skip(static_cast<std::uint64_t>(spec->width));
    else if (!ReadForm(reader, spec->form, 0, loaded_.header, loaded_.bytes.data(), &unused))
      return false;
  }
  return reader->ok();
}

FormValue DwarfFile::Attribute(const Die& die, unsigned name) const {
  FormValue found;
  ForEachAttribute(die, [&](unsigned at, const FormValue& value) {
    if (at == name) found = value;
    return at != name;
  });
  return found;
}

Extent DwarfFile::ExtentOf(const Die& die) const {
  Extent extent;
  ForEachAttribute(die, [&](unsigned name, const FormValue& value) {
    if (name == DW_AT_low_pc) extent.low = value;
    if (name == DW_AT_high_pc) extent.high = value;
    if (name == DW_AT_ranges) extent.ranges = value;
    return true;
  });
  return extent;
}

}  // namespace pprof::symbolize
