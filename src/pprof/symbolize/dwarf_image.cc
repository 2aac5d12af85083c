#include "src/pprof/symbolize/dwarf_image.h"

#include <elf.h>
#include <sys/mman.h>

#include <cstring>
#include <new>

namespace pprof::symbolize {
namespace {

constexpr std::size_t kHeaders = 1024;  // ELF header, section headers and their names
// Zeros behind every section: a reader that looks a few bytes too far finds them and no fault.
constexpr std::size_t kPadding = 4096;
constexpr std::size_t kSections = DwarfImage::kFixedSections + 3;  // null, .debug_info, names
constexpr char kNames[] =
    "\0.debug_abbrev\0.debug_addr\0.debug_ranges\0.debug_rnglists\0.debug_info\0.shstrtab";
constexpr std::array<std::uint32_t, kSections> kNameOffsets = {0, 1, 15, 27, 41, 57, 69};
constexpr std::size_t kNamesAt = sizeof(Elf64_Ehdr) + kSections * sizeof(Elf64_Shdr);
static_assert(kNamesAt + sizeof(kNames) <= kHeaders);

std::size_t RoundUp(std::size_t size) { return (size + kPadding + 15) & ~std::size_t{15}; }

// libdw would end the process when it finds no memory. It runs no clean-up of its own between here
// and our catch block, and dwarf_end frees what it had.
__attribute__((noreturn)) void OutOfMemory() { throw std::bad_alloc(); }

}  // namespace

DwarfImage::~DwarfImage() {
  Close();
  if (memory_ != nullptr) munmap(memory_, size_);
}

bool DwarfImage::Create(const std::array<const SectionData*, kFixedSections>& fixed,
                        std::size_t window_size, MemoryBudget* budget) {
  std::uint64_t total = kHeaders + kPadding;
  for (const SectionData* section : fixed) {
    if (section->size() > budget->left()) return budget->Take(section->size());
    total += RoundUp(static_cast<std::size_t>(section->size()));
  }
  total += RoundUp(window_size);
  if (!budget->Take(total)) return false;
  void* memory = mmap(nullptr, static_cast<std::size_t>(total), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  memory_ = static_cast<std::uint8_t*>(memory);
  size_ = static_cast<std::size_t>(total);
  std::size_t at = kHeaders;
  for (std::size_t i = 0; i < kFixedSections; ++i) {
    offsets_[i] = at;
    sizes_[i] = static_cast<std::size_t>(fixed[i]->size());
    if (!fixed[i]->Read(0, memory_ + at, sizes_[i])) return false;
    at += RoundUp(sizes_[i]);
  }
  window_ = memory_ + at;
  window_size_ = window_size;
  return true;
}

void DwarfImage::WriteHeaders() {
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_DYN;
  header.e_machine = EM_X86_64;  // matters to libdw for relocatable files and frames only
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_shoff = sizeof(Elf64_Ehdr);
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = kSections;
  header.e_shstrndx = kSections - 1;
  std::array<Elf64_Shdr, kSections> sections = {};
  for (std::size_t i = 1; i < kSections; ++i) {
    sections[i].sh_name = kNameOffsets[i];
    sections[i].sh_type = SHT_PROGBITS;
    sections[i].sh_addralign = 1;
    if (i <= kFixedSections) {
      sections[i].sh_offset = offsets_[i - 1];
      sections[i].sh_size = sizes_[i - 1];
    }
  }
  sections[kFixedSections + 1].sh_offset = static_cast<std::size_t>(window_ - memory_);
  sections[kFixedSections + 1].sh_size = used_;
  sections[kSections - 1].sh_type = SHT_STRTAB;
  sections[kSections - 1].sh_offset = kNamesAt;
  sections[kSections - 1].sh_size = sizeof(kNames);
  std::memcpy(memory_, &header, sizeof header);
  std::memcpy(memory_ + sizeof header, sections.data(), sizeof sections);
  std::memcpy(memory_ + kNamesAt, kNames, sizeof kNames);
}

Dwarf* DwarfImage::Open(std::size_t info_size) {
  Close();
  if (memory_ == nullptr || info_size == 0 || info_size > window_size_) return nullptr;
  used_ = info_size;
  std::memset(window_ + info_size, 0, kPadding);  // what a larger unit left there
  WriteHeaders();
  elf_version(EV_CURRENT);
  elf_ = elf_memory(reinterpret_cast<char*>(memory_), size_);
  if (elf_ == nullptr) return nullptr;
  dwarf_ = dwarf_begin_elf(elf_, DWARF_C_READ, nullptr);
  if (dwarf_ == nullptr) {
    Close();
    return nullptr;
  }
  dwarf_new_oom_handler(dwarf_, OutOfMemory);
  return dwarf_;
}

void DwarfImage::Close() {
  if (dwarf_ != nullptr) dwarf_end(dwarf_);
  if (elf_ != nullptr) elf_end(elf_);
  dwarf_ = nullptr;
  elf_ = nullptr;
}

}  // namespace pprof::symbolize
