#include "src/pprof/unwind/cfi_table.h"

#include <algorithm>
#include <utility>

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

// What is needed of an FDE to compile it later; pcs count from the module's base.
struct Fde {
  std::uint32_t start;
  std::uint32_t end;
  std::uint32_t cie;            // index
  std::uint32_t program;        // offset in the section
  std::uint32_t program_bytes;  // what is left of the record: call-frame instructions
};

// Two passes: all records are listed, then the FDEs are compiled in the order of their code. So the
// rows come out sorted, and need no room but their own.
class Builder {
 public:
  Builder(const EhFrame& section, std::uint64_t base, std::uint64_t start, std::uint64_t limit)
      : section_(section), base_(base), start_(start), limit_(limit) {}

  CfiTable Build() {
    CfiTable table;
    table.complete = ReadSection();
    const auto by_start = [](const Fde& a, const Fde& b) { return a.start < b.start; };
    if (!std::is_sorted(fdes_.begin(), fdes_.end(), by_start)) {
      std::stable_sort(fdes_.begin(), fdes_.end(), by_start);
    }
    CompileAll(PackState);
    table.rows = std::move(rows_);
    const auto needs_base = [](const UnwindRow& row) { return NeedsBase(row.rule); };
    if (std::any_of(table.rows.begin(), table.rows.end(), needs_base)) {
      rows_ = {};
      CompileAll(PackBase);
      table.base_rows = std::move(rows_);
    }
    IndexPages(table);
    return table;
  }

 private:
  using Pack = std::uint32_t (*)(const CfiState& state, bool signal_frame);

  void CompileAll(Pack pack) {
    for (std::size_t i = 0; i < fdes_.size(); ++i) {
      // Where two overlap, the one that begins later holds, as in the search of the C++ runtime; of
      // two that begin together, the last of the section.
      const bool last = i + 1 == fdes_.size();
      Compile(fdes_[i], last ? fdes_[i].end : std::min(fdes_[i].end, fdes_[i + 1].start), pack);
    }
    rows_.shrink_to_fit();
  }

  std::uint64_t AddressOf(const ByteReader& reader) const {
    return section_.address + OffsetOf(reader);
  }
  std::uint64_t OffsetOf(const ByteReader& reader) const {
    return static_cast<std::uint64_t>(reader.position() - section_.bytes);
  }

  // True: read to its end. A terminator ends the section unless the header knows of more FDEs (a
  // linker that concatenated sections left it in the middle); without a terminator the header's
  // count does, for what follows then is another section.
  bool ReadSection() {
    ByteReader reader(section_.bytes, section_.bytes + section_.size);
    bool terminated = false;
    std::uint64_t seen = 0;
    while (reader.left() >= 4) {
      const std::uint64_t record = OffsetOf(reader);
      std::uint64_t length = reader.U32();
      if (length == 0) {
        terminated = true;
        if (seen >= section_.expected_fdes) return true;
        continue;
      }
      if (length == 0xffffffff) length = reader.U64();
      const std::uint64_t offset = OffsetOf(reader);  // of the id; an FDE counts back from there
      ByteReader body = reader.Take(length);
      const std::uint32_t id = body.U32();
      if (!reader.ok() || !body.ok() || id > offset) break;
      if (id == 0) {
        if (cies_.size() == kMaxCies) continue;  // its FDEs find none
        cie_offsets_.push_back(record);
        cies_.push_back(ReadCie(body));
      } else {
        ++seen;
        ListFde(offset - id, body);
      }
    }
    return terminated || (section_.expected_fdes != 0 && seen >= section_.expected_fdes);
  }

  // The CIE whose record begins at `offset`. It stands before its FDEs (LSB Core, 10.6.1.2).
  const Cie* FindCie(std::uint64_t offset, std::uint32_t* index) const {
    const auto found = std::lower_bound(cie_offsets_.begin(), cie_offsets_.end(), offset);
    if (found == cie_offsets_.end() || *found != offset) return nullptr;
    *index = static_cast<std::uint32_t>(found - cie_offsets_.begin());
    return &cies_[*index];
  }

  // `body`: behind the id.
  Cie ReadCie(ByteReader body) {
    Cie cie;
    cie.initial = InitialState();
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

  void ListFde(std::uint64_t cie_offset, ByteReader body) {
    Fde fde{};
    const Cie* cie = FindCie(cie_offset, &fde.cie);
    if (cie == nullptr || !cie->ok) return;
    std::uint64_t pc = 0;
    std::uint64_t size = 0;
    if (!ReadEncoded(body, cie->pointer_encoding, AddressOf(body), &pc)) return;
    if (!ReadEncoded(body, cie->pointer_encoding & 0x0f, 0, &size)) return;
    if (cie->has_augmentation_data) body.Skip(body.Uleb());
    // Outside the code: of a function that the linker threw away, or broken.
    if (!body.ok() || size == 0 || pc < start_ || pc >= limit_ || size > limit_ - pc) return;
    fde.start = static_cast<std::uint32_t>(pc - base_);
    fde.end = static_cast<std::uint32_t>(pc + size - base_);
    fde.program = static_cast<std::uint32_t>(OffsetOf(body));
    fde.program_bytes = static_cast<std::uint32_t>(body.left());
    fdes_.push_back(fde);
  }

  // Rows for [fde.start, end), then END.
  void Compile(const Fde& fde, std::uint32_t end, Pack pack) {
    if (fde.start >= end) return;
    const Cie& cie = cies_[fde.cie];
    const std::uint8_t* const bytes = section_.bytes + fde.program;
    CfiProgram program(cie);
    std::uint64_t last = fde.start;
    const bool fine =
        program.Run({bytes, bytes + fde.program_bytes}, fde.start,
                    [&](std::uint64_t at, const CfiState& state) {
                      if (at < last || at >= end) return;  // a broken program leaves its function
                      last = at;
                      Emit(static_cast<std::uint32_t>(at), pack(state, cie.signal_frame));
                    });
    if (!fine) Emit(static_cast<std::uint32_t>(last), pack(Broken(), false));
    Emit(end, EndRule());
  }

  static CfiState Broken() {
    CfiState state;
    state.base = FpRule::kUnsupported;
    return state;
  }

  // In ascending order of pc; of two rows at one pc the later one holds; a row that repeats the one
  // before it is left out.
  void Emit(std::uint32_t pc, std::uint32_t rule) {
    if (!rows_.empty() && rows_.back().pc == pc) rows_.pop_back();
    if (rows_.empty() ? rule != EndRule() : rows_.back().rule != rule) rows_.push_back({pc, rule});
  }

  void IndexPages(CfiTable& table) {
    const std::uint64_t pages = ((limit_ - base_) >> handler::kUnwindPageShift) + 1;
    std::size_t row = 0;
    for (std::uint64_t page = 0; page <= pages; ++page) {
      while (row < table.rows.size() && table.rows[row].pc >> handler::kUnwindPageShift < page)
        ++row;
      table.pages.push_back(static_cast<std::uint32_t>(row));
    }
  }

  const EhFrame& section_;
  const std::uint64_t base_;
  const std::uint64_t start_;
  const std::uint64_t limit_;
  base::LargeVector<std::uint64_t> cie_offsets_;  // ascending; of cies_
  base::LargeVector<Cie> cies_;
  base::LargeVector<Fde> fdes_;
  base::LargeVector<UnwindRow> rows_;
};

}  // namespace

CfiTable BuildCfiTable(const EhFrame& section, std::uint64_t base, std::uint64_t start,
                       std::uint64_t limit) {
  return Builder(section, base, start, limit).Build();
}

EhFrameHeader ReadEhFrameHeader(const std::uint8_t* bytes, std::size_t size,
                                std::uint64_t address) {
  ByteReader reader(bytes, bytes + size);
  const std::uint8_t version = reader.U8();
  const std::uint8_t section_encoding = reader.U8();
  const std::uint8_t count_encoding = reader.U8();
  reader.U8();  // encoding of the search table, which is not used: .eh_frame is read from its start
  EhFrameHeader header;
  const auto here = [&] { return address + static_cast<std::uint64_t>(reader.position() - bytes); };
  if (version != 1 || !ReadEncoded(reader, section_encoding, here(), &header.section)) return {};
  if (count_encoding == kPeOmit ||
      !ReadEncoded(reader, count_encoding, here(), &header.fde_count)) {
    header.fde_count = 0;
  }
  return header;
}

}  // namespace pprof::unwind
