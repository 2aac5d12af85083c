#include "src/pprof/symbolize/elf_file.h"

#include <elf.h>

#include <algorithm>
#include <utility>

#include "src/pprof/symbolize/byte_reader.h"

namespace pprof::symbolize {
namespace {

constexpr std::size_t kMaxSections = 1u << 17;
constexpr std::uint64_t kMaxSectionNames = 8u << 20;
// Longer than any name that is asked for.
constexpr std::size_t kMaxSectionName = 32;
constexpr std::uint64_t kMaxNotes = 1u << 20;  // bytes, together

bool ReadHeader(const ByteSource& source, Elf64_Ehdr* header) {
  return source.Read(0, header, sizeof(*header)) &&
         std::equal(header->e_ident, header->e_ident + SELFMAG, ELFMAG) &&
         header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == ELFDATA2LSB;
}

bool InFile(const ByteSource& source, std::uint64_t offset, std::uint64_t size) {
  return offset <= source.size() && size <= source.size() - offset;
}

// The table of raw section headers. Counts that do not fit 16 bits stand in header 0.
bool ReadSectionHeaders(const ByteSource& source, base::LargeVector<Elf64_Shdr>* headers,
                        std::size_t* names_index) {
  Elf64_Ehdr header = {};
  if (!ReadHeader(source, &header)) return false;
  if (header.e_shoff == 0) return true;
  Elf64_Shdr first = {};
  if (header.e_shentsize != sizeof(Elf64_Shdr) ||
      !source.Read(header.e_shoff, &first, sizeof first))
    return false;
  const std::uint64_t count = header.e_shnum != 0 ? header.e_shnum : first.sh_size;
  *names_index = header.e_shstrndx != SHN_XINDEX ? header.e_shstrndx : first.sh_link;
  if (count > kMaxSections || !InFile(source, header.e_shoff, count * sizeof(Elf64_Shdr)))
    return false;
  headers->resize(static_cast<std::size_t>(count));
  return source.Read(header.e_shoff, headers->data(), headers->size() * sizeof(Elf64_Shdr));
}

// NT_GNU_BUILD_ID among the notes in `bytes`; empty if there is none. Names and contents are padded
// to 4 bytes.
std::string FindBuildId(const base::LargeVector<std::uint8_t>& bytes) {
  ByteReader notes(bytes.data(), bytes.size());
  while (notes.left() >= sizeof(Elf64_Nhdr)) {
    const std::uint64_t name_size = notes.U32(), size = notes.U32(), type = notes.U32();
    ByteReader name = notes.Sub((name_size + 3) & ~std::uint64_t{3});
    const std::uint8_t* content = notes.position();
    notes.Skip(std::min<std::uint64_t>((size + 3) & ~std::uint64_t{3}, notes.left()));
    if (!notes.ok()) break;
    if (type == NT_GNU_BUILD_ID && name_size == 4 && name.String() == "GNU" && size > 0 &&
        size <= static_cast<std::uint64_t>(notes.position() - content)) {
      return std::string(reinterpret_cast<const char*>(content), static_cast<std::size_t>(size));
    }
  }
  return {};
}

std::string BuildIdAt(const ByteSource& source, std::uint64_t offset, std::uint64_t size,
                      std::uint64_t* left) {
  if (size > *left) return {};
  *left -= size;
  base::LargeVector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  return source.Read(offset, bytes.data(), bytes.size()) ? FindBuildId(bytes) : std::string();
}

}  // namespace

bool ElfSection::has_bytes() const { return type != SHT_NOBITS && type != SHT_NULL && size > 0; }

std::unique_ptr<ElfFile> ElfFile::Open(std::unique_ptr<ByteSource> source) {
  if (source == nullptr) return nullptr;
  std::unique_ptr<ElfFile> file(new ElfFile);
  file->source_ = std::move(source);
  if (!file->ReadSections()) return nullptr;
  file->ReadBuildId();
  return file;
}

bool ElfFile::ReadSections() {
  base::LargeVector<Elf64_Shdr> headers;
  std::size_t names_index = 0;
  if (!ReadSectionHeaders(*source_, &headers, &names_index)) return false;
  base::LargeVector<std::uint8_t> names;
  if (names_index < headers.size() && headers[names_index].sh_size <= kMaxSectionNames) {
    names.resize(static_cast<std::size_t>(headers[names_index].sh_size));
    if (!source_->Read(headers[names_index].sh_offset, names.data(), names.size())) names.clear();
  }
  sections_.reserve(headers.size());
  for (const Elf64_Shdr& header : headers) {
    ElfSection section;
    if (header.sh_name < names.size()) {
      ByteReader name(names.data() + header.sh_name, names.size() - header.sh_name);
      section.name = std::string(name.String().substr(0, kMaxSectionName));
    }
    section.type = header.sh_type;
    section.link = header.sh_link;
    section.flags = header.sh_flags;
    section.address = header.sh_addr;
    section.offset = header.sh_offset;
    section.size = header.sh_size;
    if (section.type != SHT_NOBITS && !InFile(*source_, section.offset, section.size))
      section.type = SHT_NULL;  // keeps its number, for links, but has no bytes
    constexpr std::uint64_t kCode = SHF_ALLOC | SHF_EXECINSTR;
    if ((section.flags & kCode) == kCode && section.address + section.size > section.address)
      code_.emplace_back(section.address, section.address + section.size);
    sections_.push_back(std::move(section));
  }
  std::sort(code_.begin(), code_.end());
  return true;
}

void ElfFile::ReadBuildId() {
  std::uint64_t left = kMaxNotes;
  for (const ElfSection& section : sections_) {
    if (section.type != SHT_NOTE) continue;
    build_id_ = BuildIdAt(*source_, section.offset, section.size, &left);
    if (!build_id_.empty()) return;
  }
  Elf64_Ehdr header = {};
  if (!ReadHeader(*source_, &header) || header.e_phentsize != sizeof(Elf64_Phdr)) return;
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment = {};
    if (!source_->Read(header.e_phoff + i * sizeof segment, &segment, sizeof segment)) return;
    if (segment.p_type != PT_NOTE) continue;
    build_id_ = BuildIdAt(*source_, segment.p_offset, segment.p_filesz, &left);
    if (!build_id_.empty()) return;
  }
}

const ElfSection* ElfFile::Find(std::string_view name) const {
  for (const ElfSection& section : sections_) {
    if (section.has_bytes() && section.name == name) return &section;
  }
  return nullptr;
}

const ElfSection* ElfFile::FindDebug(std::string_view suffix) const {
  const ElfSection* section = Find(std::string(".debug_").append(suffix));
  return section != nullptr ? section : Find(std::string(".zdebug_").append(suffix));
}

const ElfSection* ElfFile::FindType(std::uint32_t type) const {
  for (const ElfSection& section : sections_) {
    if (section.has_bytes() && section.type == type) return &section;
  }
  return nullptr;
}

std::uint64_t ElfFile::CodeEnd(std::uint64_t address) const {
  auto next =
      std::upper_bound(code_.begin(), code_.end(), std::make_pair(address, ~std::uint64_t{0}));
  return next != code_.begin() && address < (--next)->second ? next->second : 0;
}

}  // namespace pprof::symbolize
