// What values of attributes stand for: strings, references, addresses, ranges. Part of DwarfFile.
#include "src/pprof/symbolize/dwarf_constants.h"
#include "src/pprof/symbolize/dwarf_file.h"

namespace pprof::symbolize {
namespace {

constexpr std::uint64_t kAddressSize = 8;

bool IsAddressIndex(unsigned form) {
  switch (form) {
    case DW_FORM_addrx:
    case DW_FORM_addrx1:
    case DW_FORM_addrx2:
    case DW_FORM_addrx3:
    case DW_FORM_addrx4:
    case DW_FORM_GNU_addr_index:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string DwarfFile::IndexedString(std::uint64_t index) {
  std::uint64_t offset = 0;
  const std::size_t width = loaded_.header.offset_size;
  if (index > string_offsets_.size() / width) return {};
  offset = string_offsets_.At(loaded_.string_offsets + index * width).Fixed(width);
  return strings_.String(offset);
}

std::string DwarfFile::StringOf(const FormValue& value) {
  switch (value.form) {
    case DW_FORM_string:
      return std::string(BytesAt(value.number).String().substr(0, SectionData::kMaxString));
    case DW_FORM_strp:
      return strings_.String(value.number);
    case DW_FORM_line_strp:
      return line_strings_.String(value.number);
    case DW_FORM_strp_sup:
    case DW_FORM_GNU_strp_alt:
      return alt_ != nullptr ? alt_->strings_.String(value.number) : std::string();
    case DW_FORM_strx:
    case DW_FORM_strx1:
    case DW_FORM_strx2:
    case DW_FORM_strx3:
    case DW_FORM_strx4:
    case DW_FORM_GNU_str_index:
      return IndexedString(value.number);
    default:
      return {};
  }
}

bool DwarfFile::RefOf(const FormValue& value, DieRef* ref) const {
  switch (value.form) {
    case DW_FORM_ref1:
    case DW_FORM_ref2:
    case DW_FORM_ref4:
    case DW_FORM_ref8:
    case DW_FORM_ref_udata:
      *ref = {is_alt_, loaded_.header.begin + value.number};
      return value.number < loaded_.header.end - loaded_.header.begin;
    case DW_FORM_ref_addr:
      *ref = {is_alt_, value.number};
      return true;
    case DW_FORM_GNU_ref_alt:
    case DW_FORM_ref_sup4:
    case DW_FORM_ref_sup8:
      *ref = {true, value.number};
      return !is_alt_;
    default:
      return false;
  }
}

bool DwarfFile::IndexedAddress(std::uint64_t index, std::uint64_t* address) {
  SectionData& section = skeleton_ != nullptr ? skeleton_->address_ : address_;
  if (index > section.size() / kAddressSize) return false;
  ByteReader reader = section.At(loaded_.addresses + index * kAddressSize);
  *address = reader.Fixed(kAddressSize);
  return reader.ok();
}

bool DwarfFile::AddressOf(const FormValue& value, std::uint64_t* address) {
  if (value.form == DW_FORM_addr) {
    *address = value.number;
    return true;
  }
  return IsAddressIndex(value.form) && IndexedAddress(value.number, address);
}

// DWARF 5 sections 2.17.2 (a constant as high end counts from the low one) and 2.17.3.
RangeCursor DwarfFile::StartRanges(const Extent& extent) {
  RangeCursor cursor;
  if (extent.low && extent.high && AddressOf(extent.low, &cursor.low)) {
    cursor.kind = RangeCursor::Kind::kSingle;
    if (!AddressOf(extent.high, &cursor.high)) cursor.high = cursor.low + extent.high.number;
    return cursor;
  }
  if (!extent.ranges) return cursor;
  cursor.base = loaded_.low_pc;
  cursor.at = extent.ranges.number;
  if (loaded_.header.version < 5) {
    cursor.kind = RangeCursor::Kind::kPairs;
    if (skeleton_ != nullptr) cursor.at += skeleton_->loaded_.split_ranges;
    return cursor;
  }
  cursor.kind = RangeCursor::Kind::kEntries;
  if (extent.ranges.form == DW_FORM_rnglistx) {
    const std::size_t width = loaded_.header.offset_size;
    const std::uint64_t index = extent.ranges.number;
    if (index > range_lists_.size() / width) cursor.kind = RangeCursor::Kind::kNone;
    cursor.at =
        loaded_.range_lists + range_lists_.At(loaded_.range_lists + index * width).Fixed(width);
  }
  return cursor;
}

bool DwarfFile::NextRange(RangeCursor* cursor, std::uint64_t* start, std::uint64_t* limit) {
  while (cursor->kind != RangeCursor::Kind::kNone && work_->Step()) {
    bool got = true;
    *start = cursor->low;
    *limit = cursor->high;
    if (cursor->kind == RangeCursor::Kind::kPairs) got = NextPair(cursor, start, limit);
    if (cursor->kind == RangeCursor::Kind::kEntries) got = NextEntry(cursor, start, limit);
    if (cursor->kind == RangeCursor::Kind::kSingle || !got) cursor->kind = RangeCursor::Kind::kNone;
    if (got && *start < *limit) return true;
  }
  return false;
}

// One step; an entry that only sets the base gives an empty range. False: the end.
bool DwarfFile::NextPair(RangeCursor* cursor, std::uint64_t* start, std::uint64_t* limit) {
  SectionData& section = skeleton_ != nullptr ? skeleton_->ranges_ : ranges_;
  ByteReader reader = section.At(cursor->at);
  const std::uint64_t low = reader.Fixed(kAddressSize), high = reader.Fixed(kAddressSize);
  cursor->at += 2 * kAddressSize;
  if (!reader.ok() || (low == 0 && high == 0)) return false;
  *start = *limit = 0;
  if (low == ~std::uint64_t{0}) {
    cursor->base = high;
  } else {
    *start = cursor->base + low;
    *limit = cursor->base + high;
  }
  return true;
}

bool DwarfFile::NextEntry(RangeCursor* cursor, std::uint64_t* start, std::uint64_t* limit) {
  ByteReader reader = range_lists_.At(cursor->at);
  const std::uint8_t* begin = reader.position();
  *start = *limit = 0;
  bool known = true;
  switch (reader.U8()) {
    case DW_RLE_base_addressx:
      known = IndexedAddress(reader.Uleb(), &cursor->base);
      break;
    case DW_RLE_startx_endx:
      known = IndexedAddress(reader.Uleb(), start) && IndexedAddress(reader.Uleb(), limit);
      break;
    case DW_RLE_startx_length:
      known = IndexedAddress(reader.Uleb(), start);
      *limit = *start + reader.Uleb();
      break;
    case DW_RLE_offset_pair:
      *start = cursor->base + reader.Uleb();
      *limit = cursor->base + reader.Uleb();
      break;
    case DW_RLE_base_address:
      cursor->base = reader.Fixed(kAddressSize);
      break;
    case DW_RLE_start_end:
      *start = reader.Fixed(kAddressSize);
      *limit = reader.Fixed(kAddressSize);
      break;
    case DW_RLE_start_length:
      *start = reader.Fixed(kAddressSize);
      *limit = *start + reader.Uleb();
      break;
    default:  // the end of the list
      known = false;
      break;
  }
  cursor->at += static_cast<std::uint64_t>(reader.position() - begin);
  return known && reader.ok();
}

}  // namespace pprof::symbolize
