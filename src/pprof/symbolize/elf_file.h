// An ELF file as this folder needs it: its sections by name and their bytes, and its build id. The
// headers are read by our own few lines and every number in them is checked. 64-bit little-endian
// only.
// Formats: System V ABI (ELF-64), elf.h; SHF_COMPRESSED: gABI "Section Compression".
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/pprof/symbolize/byte_source.h"

namespace pprof::symbolize {

struct ElfSection {
  std::string name;
  std::uint32_t type = 0;
  std::uint32_t link = 0;
  std::uint64_t flags = 0;
  std::uint64_t address = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  // inside the file, checked, unless the type is SHT_NOBITS
  bool has_bytes() const;
};

// Not async-signal-safe. One thread at a time.
class ElfFile {
 public:
  // nullptr if the source is null or no ELF file that makes sense.
  static std::unique_ptr<ElfFile> Open(std::unique_ptr<ByteSource> source);

  const ByteSource& source() const { return *source_; }
  const std::string& build_id() const { return build_id_; }  // raw bytes; empty: none
  const std::vector<ElfSection>& sections() const { return sections_; }

  // The first section of that name which has bytes; nullptr if none.
  const ElfSection* Find(std::string_view name) const;
  // .debug_<suffix>, or its older compressed form .zdebug_<suffix>.
  const ElfSection* FindDebug(std::string_view suffix) const;
  const ElfSection* FindType(std::uint32_t type) const;
  // True if `address` lies in a section of code. Linkers leave addresses of discarded functions
  // in DWARF (0, 1 or -1); they lie in none.
  bool IsCode(std::uint64_t address) const { return CodeEnd(address) != 0; }
  // Where that section ends; 0: it is none of code.
  std::uint64_t CodeEnd(std::uint64_t address) const;

 private:
  ElfFile() = default;
  bool ReadSections();
  void ReadBuildId();

  std::unique_ptr<ByteSource> source_;
  std::vector<ElfSection> sections_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> code_;  // [start, limit)
  std::string build_id_;
};

}  // namespace pprof::symbolize
