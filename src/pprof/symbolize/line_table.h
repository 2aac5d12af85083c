// One line-number program, streamed past the sorted addresses of a unit: nothing but the answers
// and the file names is kept. Used by DwarfReader. Format: DWARF 5 section 6.2, DWARF 2 to 4
// section 6.2.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/pprof/symbolize/byte_reader.h"
#include "src/pprof/symbolize/dwarf_file.h"

namespace pprof::symbolize {

struct LineRow {
  std::uint64_t file = 0;
  std::uint32_t line = 0;
  bool found = false;
};

class LineMachine;

// Not async-signal-safe. One thread at a time.
class LineTable {
 public:
  // Reads the program at `offset` in .debug_line. `directory`: DW_AT_comp_dir. False if damaged or
  // larger than `max_size`.
  bool Open(DwarfFile* dwarf, std::uint64_t offset, std::string directory, std::uint64_t max_size);

  // The rows of the sorted `addresses`, parallel to them. What is damaged ends early.
  std::vector<LineRow> Rows(const std::vector<std::uint64_t>& addresses) const;

  // Path of a file number as this table counts them (from 1 before version 5); empty: unknown.
  // Absolute if the unit's directory is known.
  std::string Path(std::uint64_t file) const;

 private:
  struct File {
    FormValue name;  // DW_FORM_string: offset in bytes_
    std::uint64_t directory = 0;
  };
  void RunStandard(std::uint8_t opcode, ByteReader* program, LineMachine* machine) const;
  bool ReadHeader(ByteReader* reader);
  bool ReadOldFiles(ByteReader* header);
  bool ReadEntries(ByteReader* header, std::vector<File>* entries);
  std::string TextOf(const FormValue& name) const;
  std::string Directory(std::uint64_t number) const;

  DwarfFile* dwarf_ = nullptr;
  std::string unit_directory_;
  base::LargeVector<std::uint8_t> bytes_;
  std::size_t program_ = 0;  // where the opcodes begin in bytes_
  UnitHeader format_;        // only what the size of forms depends on
  std::uint8_t min_instruction_ = 1;
  std::int8_t line_base_ = 0;
  std::uint8_t line_range_ = 1;
  std::uint8_t opcode_base_ = 1;
  std::vector<std::uint8_t> operand_counts_;
  std::vector<File> directories_;
  std::vector<File> files_;
};

}  // namespace pprof::symbolize
