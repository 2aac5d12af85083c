// Makes what elf_writer.h writes a library that the dynamic loader takes.
#pragma once

#include <link.h>

#include <cstdint>
#include <string>

#include "tests/support/elf_writer.h"

namespace test {

constexpr std::uint64_t kTable = 0x100000;  // where the code ends and .eh_frame begins

// One segment, whose addresses are its offsets: `code` at ElfWriter::kCode, .eh_frame, whose header
// claims that many FDEs, and `behind` bytes of zeros. REQUIRES: nothing was added to `file`; what
// is added afterwards is not loaded.
inline void MakeLoadable(ElfWriter* file, const std::string& code, const std::string& eh_frame,
                         std::uint32_t fdes, std::uint64_t behind) {
  const auto add = [&](const std::string& bytes) {
    return file->section(file->Add("", bytes)).sh_offset;
  };
  const std::uint64_t symbols_at = add(std::string(24, '\0'));
  std::string dynamic;
  for (const std::uint64_t word :
       {std::uint64_t{DT_STRTAB}, symbols_at, std::uint64_t{DT_SYMTAB}, symbols_at,
        std::uint64_t{DT_STRSZ}, std::uint64_t{1}, std::uint64_t{DT_NULL}, std::uint64_t{0}})
    Append(&dynamic, word);
  const std::uint64_t dynamic_at = add(dynamic);
  std::string header("\1\x1b\3\xff", 4);  // pcrel sdata4, udata4, no search table
  const std::uint64_t header_at = dynamic_at + dynamic.size();
  Append(&header, static_cast<std::uint32_t>(kTable - header_at - 4));
  Append(&header, fdes);
  add(header);
  std::string text(kTable - header_at - header.size(), '\0');
  text.replace(ElfWriter::kCode - header_at - header.size(), code.size(), code);
  add(text);
  const std::uint64_t size = add(eh_frame) + eh_frame.size();
  add(std::string(8192, '\0'));  // the loader clears the rest of a page: nothing that is read
  Elf64_Phdr load = {};
  load.p_type = PT_LOAD;
  load.p_flags = PF_R | PF_W | PF_X;
  load.p_filesz = size;
  load.p_memsz = size + behind;
  load.p_align = 4096;
  Elf64_Phdr info = load;
  info.p_type = PT_GNU_EH_FRAME;
  info.p_offset = info.p_vaddr = info.p_paddr = header_at;
  info.p_filesz = info.p_memsz = header.size();
  Elf64_Phdr loader = load;
  loader.p_type = PT_DYNAMIC;
  loader.p_offset = loader.p_vaddr = loader.p_paddr = dynamic_at;
  loader.p_filesz = loader.p_memsz = dynamic.size();
  loader.p_align = 8;
  file->segments = {load, loader, info};
}

}  // namespace test
