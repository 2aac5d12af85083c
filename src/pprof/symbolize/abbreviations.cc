#include "src/pprof/symbolize/abbreviations.h"

#include <algorithm>

#include "src/pprof/symbolize/dwarf_constants.h"

namespace pprof::symbolize {
namespace {

// All of one table, in attributes and declarations: 3 MiB of memory. LTO gives the largest real
// ones, some ten thousand.
constexpr std::size_t kMaxSpecs = 1u << 17;
constexpr std::size_t kMaxDeclarations = 1u << 15;

std::uint16_t Narrow(std::uint64_t number) {
  return static_cast<std::uint16_t>(std::min<std::uint64_t>(number, 0xffff));
}

}  // namespace

bool Abbreviations::Read(SectionData* section, const UnitHeader& unit, std::uint64_t last,
                         WorkBudget* work) {
  table_.clear();
  specs_.clear();
  unordered_.clear();
  for (std::uint64_t at = unit.abbreviations; table_.size() < kMaxDeclarations;) {
    ByteReader reader = section->At(at);
    const std::uint8_t* begin = reader.position();
    Abbreviation abbreviation;
    abbreviation.code = reader.Uleb();
    if (!reader.ok()) return false;
    if (abbreviation.code == 0) return true;
    abbreviation.tag = Narrow(reader.Uleb());
    abbreviation.has_children = reader.U8() != 0;
    at += static_cast<std::uint64_t>(reader.position() - begin);
    if (!reader.ok() || !ReadSpecs(section, &at, unit, &abbreviation)) return false;
    if (!work->Step(1 + abbreviation.count)) return false;
    if (abbreviation.code - 1 != table_.size())
      unordered_.emplace(abbreviation.code, table_.size());
    table_.push_back(abbreviation);
    if (abbreviation.code == last) return true;
  }
  return false;
}

bool Abbreviations::ReadSpecs(SectionData* section, std::uint64_t* at, const UnitHeader& unit,
                              Abbreviation* abbreviation) {
  abbreviation->first = static_cast<std::uint32_t>(specs_.size());
  while (specs_.size() < kMaxSpecs) {
    ByteReader reader = section->At(*at);
    const std::uint8_t* begin = reader.position();
    AttributeSpec spec;
    spec.name = Narrow(reader.Uleb());
    spec.form = Narrow(reader.Uleb());
    if (spec.form == DW_FORM_implicit_const) spec.implicit = reader.Sleb();
    if (!reader.ok()) return false;
    *at += static_cast<std::uint64_t>(reader.position() - begin);
    if (spec.name == 0 && spec.form == 0) {
      abbreviation->count = static_cast<std::uint32_t>(specs_.size()) - abbreviation->first;
      return true;
    }
    spec.width = static_cast<std::int8_t>(FormWidth(spec.form, unit));
    if (spec.width < 0) abbreviation->size = -1;
    if (abbreviation->size >= 0) abbreviation->size += spec.width;
    abbreviation->has_sibling |= spec.name == DW_AT_sibling;
    abbreviation->has_code |= spec.name == DW_AT_low_pc || spec.name == DW_AT_ranges;
    specs_.push_back(spec);
  }
  return false;
}

const Abbreviation* Abbreviations::FindUnordered(std::uint64_t code) const {
  const auto found = unordered_.find(code);
  return found == unordered_.end() ? nullptr : &table_[found->second];
}

}  // namespace pprof::symbolize
