#include "src/pprof/unwind/cfi_table.h"

#include <algorithm>
#include <unordered_map>

#include "src/pprof/elf/byte_reader.h"
#include "src/pprof/unwind/cfi_program.h"

namespace pprof::unwind {
namespace {

using elf::ByteReader;
using handler::UnwindRow;

// A pointer in one of the encodings of LSB Core, 10.5.1, read at `address`. False: an encoding that
// .eh_frame of a loaded module does not use (indirect, relative to other bases).
bool ReadEncoded(ByteReader& reader, std::uint8_t encoding, std::uint64_t address,
                 std::uint64_t* value) {
  switch (encoding & 0x0f) {
    case 0x00:
    case 0x04:
    case 0x0c:
      *value = reader.U64();
      break;
    case 0x01:
      *value = reader.Uleb();
      break;
    case 0x02:
      *value = reader.U16();
      break;
    case 0x03:
      *value = reader.U32();
      break;
    case 0x09:
      *value = static_cast<std::uint64_t>(reader.Sleb());
      break;
    case 0x0a:
      *value = static_cast<std::uint64_t>(std::int64_t{reader.Fixed<std::int16_t>()});
      break;
    case 0x0b:
      *value = static_cast<std::uint64_t>(std::int64_t{reader.Fixed<std::int32_t>()});
      break;
    default:
      return false;
  }
  const std::uint8_t application = encoding & 0xf0;
  if (application == kPePcRel) *value += address;
  return reader.ok() && (application == 0 || application == kPePcRel);
}

class Builder {
 public:
  Builder(const EhFrame& section, std::uint64_t base, std::uint64_t start, std::uint64_t limit)
      : section_(section), base_(base), start_(start), limit_(limit) {}

  CfiTable Build() {
    CfiTable table;
    table.complete = ReadSection();
    MergeRows(&table.rows);
    IndexPages(table);
    return table;
  }

 private:
  std::uint64_t AddressOf(const ByteReader& reader) const {
    return section_.address + static_cast<std::uint64_t>(reader.position() - section_.bytes);
  }

  // True: up to the terminator or the end of the bytes. False: a record is broken.
  bool ReadSection() {
    ByteReader reader(section_.bytes, section_.bytes + section_.size);
    while (reader.left() >= 4) {
      std::uint64_t length = reader.U32();
      if (length == 0) return true;  // what follows belongs to another section
      if (length == 0xffffffff) length = reader.U64();
      const std::uint8_t* const body_start = reader.position();
      ByteReader body = reader.Take(length);
      if (!reader.ok() || length < 4) return false;
      const std::uint32_t id = body.U32();
      if (id == 0) continue;  // a CIE: read when an FDE needs it
      const auto offset = static_cast<std::uint64_t>(body_start - section_.bytes);
      if (id > offset) return false;
      ReadFde(FindCie(offset - id), body);
    }
    return true;
  }

  const Cie& FindCie(std::uint64_t offset) {
    const auto known = cies_.find(offset);
    if (known != cies_.end()) return known->second;
    return cies_.emplace(offset, ReadCie(offset)).first->second;
  }

  Cie ReadCie(std::uint64_t offset) {
    Cie cie;
    ByteReader reader(section_.bytes + offset, section_.bytes + section_.size);
    std::uint64_t length = reader.U32();
    if (length == 0xffffffff) length = reader.U64();
    ByteReader body = reader.Take(length);
    if (body.U32() != 0) return cie;
    const std::uint8_t version = body.U8();
    const std::string_view augmentation = body.CString();
    if (version != 1 && version != 3) return cie;
    cie.code_alignment = body.Uleb();
    cie.data_alignment = body.Sleb();
    cie.return_address_register = version == 1 ? body.U8() : body.Uleb();
    if (!body.ok() || !ReadAugmentation(augmentation, body, cie)) return cie;
    CfiProgram program(cie);
    if (!program.Run(body, 0, [](std::uint64_t, const CfiState&) {})) return cie;
    cie.initial = program.state();
    cie.ok = true;
    return cie;
  }

  bool ReadAugmentation(std::string_view augmentation, ByteReader& body, Cie& cie) {
    if (augmentation.empty()) return true;
    if (augmentation[0] != 'z') return false;
    cie.has_augmentation_data = true;
    ByteReader data = body.Take(body.Uleb());
    for (const char letter : augmentation.substr(1)) {
      std::uint64_t ignored = 0;
      if (letter == 'R')
        cie.pointer_encoding = data.U8();
      else if (letter == 'L')
        data.U8();
      else if (letter == 'S')
        cie.signal_frame = true;
      else if (letter == 'P') {
        const std::uint8_t encoding = data.U8();
        if (!ReadEncoded(data, encoding & 0x0f, 0, &ignored)) return false;
      } else if (letter != 'B') {  // 'B' (aarch64): pointer authentication with key B, no data
        break;                     // unknown letters may have data: what was read before them holds
      }
    }
    return data.ok() && body.ok();
  }

  void ReadFde(const Cie& cie, ByteReader body) {
    if (!cie.ok) return;
    std::uint64_t pc = 0;
    std::uint64_t size = 0;
    if (!ReadEncoded(body, cie.pointer_encoding, AddressOf(body), &pc)) return;
    if (!ReadEncoded(body, cie.pointer_encoding & 0x0f, 0, &size)) return;
    if (cie.has_augmentation_data) body.Skip(body.Uleb());
    // Outside the code: of a function that the linker threw away, or broken.
    if (!body.ok() || size == 0 || pc < start_ || pc >= limit_ || size > limit_ - pc) return;
    const std::uint64_t end = pc + size;
    CfiProgram program(cie);
    std::uint64_t last = pc;
    const bool fine = program.Run(body, pc, [&](std::uint64_t at, const CfiState& state) {
      if (at < last || at >= end) return;  // a broken program leaves its function
      last = at;
      Emit(at, PackState(state, cie.signal_frame));
    });
    if (!fine) Emit(last, PackState(CfiState(), false));  // unknown from here on: a "bad" rule
    Emit(end, EndRule());
  }

  void Emit(std::uint64_t pc, std::uint32_t rule) {
    rows_.push_back({static_cast<std::uint32_t>(pc - base_), rule});
  }

  // Sorted, one row a pc, no row that repeats the one before. Where a function begins at the end of
  // another, its row wins over the END row; else the last one does.
  void MergeRows(std::vector<UnwindRow>* merged) {
    std::stable_sort(rows_.begin(), rows_.end(),
                     [](const UnwindRow& a, const UnwindRow& b) { return a.pc < b.pc; });
    for (std::size_t i = 0; i < rows_.size();) {
      UnwindRow row = rows_[i];
      for (++i; i < rows_.size() && rows_[i].pc == row.pc; ++i) {
        if (rows_[i].rule != EndRule()) row.rule = rows_[i].rule;
      }
      if (merged->empty() || merged->back().rule != row.rule) merged->push_back(row);
    }
    merged->shrink_to_fit();
    rows_ = {};
  }

  void IndexPages(CfiTable& table) {
    const std::uint64_t pages = ((limit_ - base_) >> 16) + 1;
    std::size_t row = 0;
    for (std::uint64_t page = 0; page <= pages; ++page) {
      while (row < table.rows.size() && table.rows[row].pc >> 16 < page) ++row;
      table.pages.push_back(static_cast<std::uint32_t>(row));
    }
  }

  const EhFrame& section_;
  const std::uint64_t base_;
  const std::uint64_t start_;
  const std::uint64_t limit_;
  std::unordered_map<std::uint64_t, Cie> cies_;
  std::vector<UnwindRow> rows_;
};

}  // namespace

CfiTable BuildCfiTable(const EhFrame& section, std::uint64_t base, std::uint64_t start,
                       std::uint64_t limit) {
  return Builder(section, base, start, limit).Build();
}

std::uint64_t FindEhFrame(const std::uint8_t* header, std::size_t size, std::uint64_t address) {
  ByteReader reader(header, header + size);
  const std::uint8_t version = reader.U8();
  const std::uint8_t encoding = reader.U8();
  reader.Skip(
      2);  // encodings of the search table, which is not used: .eh_frame is read from its beginning
  std::uint64_t start = 0;
  if (version != 1 || !ReadEncoded(reader, encoding, address + 4, &start)) return 0;
  return start;
}

}  // namespace pprof::unwind
