#include "src/pprof/symbolize/line_table.h"

#include <algorithm>
#include <utility>

#include "src/pprof/symbolize/dwarf_constants.h"

namespace pprof::symbolize {
namespace {

constexpr std::size_t kMaxEntries = 1u << 17;
constexpr std::size_t kMaxFormats = 32;

}  // namespace

// The registers of the line-number machine that we look at, and the wanted addresses it passes.
class LineMachine {
 public:
  LineMachine(const ElfFile& elf, WorkBudget* work, const std::vector<std::uint64_t>& addresses)
      : elf_(elf), work_(work), addresses_(addresses), rows_(addresses.size()) {}

  // Adds a row: addresses from the row before up to this one belong to the row before.
  void Emit(bool end_of_sequence) {
    if (!in_sequence_) {
      in_sequence_ = true;
      const auto first = std::lower_bound(addresses_.begin(), addresses_.end(), address);
      next_ = elf_.IsCode(address) ? static_cast<std::size_t>(first - addresses_.begin())
                                   : addresses_.size();
    } else {
      for (; next_ < addresses_.size() && addresses_[next_] < address && work_->Step(); ++next_) {
        if (addresses_[next_] < row_address_) continue;
        rows_[next_] = {row_file_, row_line_, true};
      }
    }
    row_address_ = address;
    row_file_ = file;
    row_line_ = static_cast<std::uint32_t>(line);
    if (end_of_sequence) {
      in_sequence_ = false;
      address = 0;
      file = 1;
      line = 1;
    }
  }

  std::vector<LineRow> TakeRows() { return std::move(rows_); }

  std::uint64_t address = 0;
  std::uint64_t file = 1;
  std::uint64_t line = 1;  // modulo 2^64: hostile programs overflow it

 private:
  const ElfFile& elf_;
  WorkBudget* work_;
  const std::vector<std::uint64_t>& addresses_;
  std::vector<LineRow> rows_;
  bool in_sequence_ = false;
  std::size_t next_ = 0;
  std::uint64_t row_address_ = 0;
  std::uint64_t row_file_ = 0;
  std::uint32_t row_line_ = 0;
};

namespace {

void RunExtended(ByteReader* program, LineMachine* machine) {
  ByteReader operation = program->Sub(program->Uleb());
  switch (operation.U8()) {
    case DW_LNE_end_sequence:
      machine->Emit(true);
      break;
    case DW_LNE_set_address:
      machine->address = operation.Fixed(std::min<std::size_t>(operation.left(), 8));
      break;
    default:
      break;
  }
}

}  // namespace

bool LineTable::Open(DwarfFile* dwarf, std::uint64_t offset, std::string directory,
                     std::uint64_t max_size) {
  *this = LineTable();
  dwarf_ = dwarf;
  unit_directory_ = std::move(directory);
  std::uint8_t prefix[12] = {};
  const std::uint64_t size = dwarf->line().size();
  if (offset >= size) return false;
  const auto have = static_cast<std::size_t>(std::min<std::uint64_t>(sizeof prefix, size - offset));
  if (!dwarf->line().Read(offset, prefix, have)) return false;
  ByteReader length_reader(prefix, have);
  std::uint64_t length = length_reader.U32();
  if (length == 0xffffffff) {
    format_.offset_size = 8;
    length = length_reader.Fixed(8);
  }
  const std::uint64_t start = offset + (format_.offset_size == 8 ? 12 : 4);
  if (!length_reader.ok() || length > size - start || length > max_size) return false;
  if (!dwarf->work()->Step(length)) return false;
  bytes_.resize(static_cast<std::size_t>(length));
  if (!dwarf->line().Read(start, bytes_.data(), bytes_.size())) return false;
  ByteReader reader(bytes_.data(), bytes_.size());
  return ReadHeader(&reader);
}

bool LineTable::ReadHeader(ByteReader* reader) {
  const unsigned version = reader->U16();
  if (version < 2 || version > 5) return false;
  format_.version = static_cast<std::uint8_t>(version);
  if (version >= 5) reader->Skip(2);  // sizes of an address and of a segment selector
  ByteReader header = reader->Sub(reader->Fixed(format_.offset_size));
  if (!reader->ok()) return false;
  program_ = bytes_.size() - reader->left();
  min_instruction_ = header.U8();
  if (version >= 4) header.Skip(1);  // operations an instruction: 1 but on VLIW machines
  header.Skip(1);                    // default of is_stmt
  line_base_ = static_cast<std::int8_t>(header.U8());
  line_range_ = header.U8();
  opcode_base_ = header.U8();
  if (!header.ok() || line_range_ == 0 || opcode_base_ == 0) return false;
  operand_counts_.assign(opcode_base_, 0);
  for (std::size_t i = 1; i < opcode_base_; ++i) operand_counts_[i] = header.U8();
  if (version < 5) return ReadOldFiles(&header);
  return ReadEntries(&header, &directories_) && ReadEntries(&header, &files_);
}

bool LineTable::ReadOldFiles(ByteReader* header) {
  directories_.emplace_back();  // number 0 is the unit's own
  files_.emplace_back();        // numbers begin at 1
  for (std::vector<File>* entries : {&directories_, &files_}) {
    while (entries->size() < kMaxEntries) {
      File entry;
      entry.name = {DW_FORM_string, static_cast<std::uint64_t>(header->position() - bytes_.data())};
      if (header->String().empty()) break;
      if (entries == &files_) {
        entry.directory = header->Uleb();
        header->Uleb();  // time
        header->Uleb();  // size
      }
      entries->push_back(entry);
    }
  }
  return header->ok();
}

bool LineTable::ReadEntries(ByteReader* header, std::vector<File>* entries) {
  std::vector<std::pair<std::uint64_t, unsigned>> formats(header->U8());
  if (formats.size() > kMaxFormats) return false;
  for (auto& [content, form] : formats) {
    content = header->Uleb();
    form = static_cast<unsigned>(std::min<std::uint64_t>(header->Uleb(), 0xffff));
  }
  const std::uint64_t count = header->Uleb();
  if (!header->ok() || count > kMaxEntries || (count > 0 && formats.empty())) return false;
  for (std::uint64_t i = 0; i < count && dwarf_->work()->Step(formats.size()); ++i) {
    File entry;
    for (const auto& [content, form] : formats) {
      FormValue value;
      if (!ReadForm(header, form, 0, format_, bytes_.data(), &value)) return false;
      if (content == DW_LNCT_path) entry.name = value;
      if (content == DW_LNCT_directory_index) entry.directory = value.number;
    }
    entries->push_back(entry);
  }
  return header->ok();
}

void LineTable::RunStandard(std::uint8_t opcode, ByteReader* program, LineMachine* machine) const {
  switch (opcode) {
    case 0:
      RunExtended(program, machine);
      break;
    case DW_LNS_copy:
      machine->Emit(false);
      break;
    case DW_LNS_advance_pc:
      machine->address += program->Uleb() * min_instruction_;
      break;
    case DW_LNS_advance_line:
      machine->line += static_cast<std::uint64_t>(program->Sleb());
      break;
    case DW_LNS_set_file:
      machine->file = program->Uleb();
      break;
    case DW_LNS_const_add_pc:  // as the last special opcode, without its row
      machine->address += std::uint64_t{(255u - opcode_base_) / line_range_} * min_instruction_;
      break;
    case DW_LNS_fixed_advance_pc:
      machine->address += program->U16();
      break;
    default:  // columns, flags, and what the header says about opcodes we do not know
      for (unsigned i = 0; i < operand_counts_[opcode]; ++i) program->Uleb();
      break;
  }
}

std::vector<LineRow> LineTable::Rows(const std::vector<std::uint64_t>& addresses) const {
  LineMachine machine(dwarf_->elf(), dwarf_->work(), addresses);
  ByteReader program(bytes_.data() + program_, bytes_.size() - program_);
  while (!program.done()) {
    const std::uint8_t opcode = program.U8();
    if (opcode >= opcode_base_) {
      const unsigned special = opcode - opcode_base_;
      machine.address += std::uint64_t{special / line_range_} * min_instruction_;
      machine.line += static_cast<std::uint64_t>(std::int64_t{line_base_}) + special % line_range_;
      machine.Emit(false);
      continue;
    }
    RunStandard(opcode, &program, &machine);
  }
  return machine.TakeRows();
}

std::string LineTable::TextOf(const FormValue& name) const {
  switch (name.form) {
    case DW_FORM_string: {
      const auto from = static_cast<std::size_t>(name.number);
      return std::string(ByteReader(bytes_.data() + from, bytes_.size() - from).String());
    }
    case DW_FORM_strp:
      return dwarf_->strings().String(name.number);
    case DW_FORM_line_strp:
      return dwarf_->line_strings().String(name.number);
    default:
      return {};
  }
}

std::string LineTable::Directory(std::uint64_t number) const {
  if (number >= directories_.size()) return {};
  return TextOf(directories_[static_cast<std::size_t>(number)].name);
}

std::string LineTable::Path(std::uint64_t file) const {
  if (file >= files_.size()) return {};
  const File& entry = files_[static_cast<std::size_t>(file)];
  std::string name = TextOf(entry.name);
  if (name.empty() || name[0] == '/') return name;
  std::string directory = Directory(entry.directory);
  if (directory.empty())
    directory = unit_directory_;
  else if (directory[0] != '/' && !unit_directory_.empty())
    directory = unit_directory_ + "/" + directory;
  return directory.empty() ? name : directory + "/" + name;
}

}  // namespace pprof::symbolize
