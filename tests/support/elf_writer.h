// Writes ELF files that no linker would: tests choose every count, offset and size.
#pragma once

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace test {

template <class T>
void Append(std::string* bytes, T value) {
  bytes->append(reinterpret_cast<const char*>(&value), sizeof value);
}

inline void AppendUleb(std::string* bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes->push_back(static_cast<char>(value | 0x80));
  bytes->push_back(static_cast<char>(value));
}

// Sections in the order in which they are added; number 0 is empty, 1 code without bytes at
// kCode. Not thread-safe.
class ElfWriter {
 public:
  static constexpr std::uint64_t kCode = 0x10000, kCodeSize = 0x100000;

  ElfWriter() {
    names_.push_back('\0');
    sections_.push_back({});
    Elf64_Shdr code = {};
    code.sh_name = Name(".text");
    code.sh_type = SHT_NOBITS;
    code.sh_flags = SHF_ALLOC | SHF_EXECINSTR;
    code.sh_addr = kCode;
    code.sh_size = kCodeSize;
    sections_.push_back(code);
  }

  // The number of the section.
  std::uint32_t Add(const std::string& name, const std::string& bytes,
                    std::uint32_t type = SHT_PROGBITS, std::uint32_t link = 0,
                    std::uint64_t flags = 0) {
    Elf64_Shdr section = {};
    section.sh_name = Name(name);
    section.sh_type = type;
    section.sh_flags = flags;
    section.sh_link = link;
    section.sh_offset = kHead + content_.size();
    section.sh_size = bytes.size();
    content_ += bytes;
    sections_.push_back(section);
    return static_cast<std::uint32_t>(sections_.size() - 1);
  }
  Elf64_Shdr& section(std::uint32_t number) { return sections_[number]; }
  void Repeat(std::uint32_t number, std::size_t times) {
    sections_.insert(sections_.end(), times, Elf64_Shdr(sections_[number]));
  }
  // A note of that build id, of four bytes.
  void BuildId(const std::string& id) {
    std::string note;
    for (const std::uint32_t word : {4u, 4u, 3u}) Append(&note, word);
    Add(".note.gnu.build-id", note + std::string("GNU\0", 4) + id, SHT_NOTE);
  }
  // As the file's program headers, behind everything else.
  std::vector<Elf64_Phdr> segments;

  // The names are the last section.
  std::string Bytes() {
    const std::uint32_t names_name = Name(".shstrtab");
    Elf64_Shdr names = {};
    names.sh_name = names_name;
    names.sh_type = SHT_STRTAB;
    names.sh_offset = kHead + content_.size();
    names.sh_size = names_.size();
    sections_.push_back(names);
    Elf64_Ehdr header = {};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_DYN;
#if defined(__x86_64__)
    header.e_machine = EM_X86_64;
#else
    header.e_machine = EM_AARCH64;
#endif
    header.e_version = EV_CURRENT;
    header.e_ehsize = sizeof header;
    header.e_shoff = kHead + content_.size() + names_.size();
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phoff = header.e_shoff + sections_.size() * sizeof(Elf64_Shdr);
    header.e_phnum = static_cast<std::uint16_t>(segments.size());
    sections_[0].sh_size = sections_.size();  // counts that need more than 16 bits stand here
    sections_[0].sh_link = static_cast<std::uint32_t>(sections_.size() - 1);
    header.e_shstrndx = SHN_XINDEX;
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
    bytes += content_ + names_;
    for (const Elf64_Shdr& section : sections_) Append(&bytes, section);
    for (const Elf64_Phdr& segment : segments) Append(&bytes, segment);
    return bytes;
  }
  void Write(const std::string& path) { std::ofstream(path, std::ios::binary) << Bytes(); }

 private:
  static constexpr std::uint64_t kHead = sizeof(Elf64_Ehdr);

  std::uint32_t Name(const std::string& name) {
    const auto at = static_cast<std::uint32_t>(names_.size());
    names_ += name;
    names_.push_back('\0');
    return at;
  }

  std::string content_;
  std::string names_;
  std::vector<Elf64_Shdr> sections_;
};

}  // namespace test
