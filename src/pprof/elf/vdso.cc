#include "src/pprof/elf/vdso.h"

#include <link.h>
#include <sys/auxv.h>

#include <cstdint>
#include <cstring>

namespace pprof::elf {
namespace {

struct Symbols {
  std::uintptr_t bias = 0;
  const ElfW(Sym) * first = nullptr;
  const char* names = nullptr;
};

Symbols ReadDynamic(const ElfW(Dyn) * dynamic, std::uintptr_t bias) {
  Symbols symbols;
  symbols.bias = bias;
  for (; dynamic->d_tag != DT_NULL; ++dynamic) {
    const std::uintptr_t address = bias + dynamic->d_un.d_ptr;
    if (dynamic->d_tag == DT_SYMTAB) symbols.first = reinterpret_cast<const ElfW(Sym)*>(address);
    if (dynamic->d_tag == DT_STRTAB) symbols.names = reinterpret_cast<const char*>(address);
  }
  return symbols;
}

Symbols FindSymbols(std::uintptr_t image) {
  const auto& header = *reinterpret_cast<const ElfW(Ehdr)*>(image);
  const auto* const segments = reinterpret_cast<const ElfW(Phdr)*>(image + header.e_phoff);
  std::uintptr_t bias = 0;
  const ElfW(Phdr)* dynamic = nullptr;
  for (int i = header.e_phnum - 1; i >= 0; --i) {  // the first PT_LOAD wins
    if (segments[i].p_type == PT_LOAD) bias = image + segments[i].p_offset - segments[i].p_vaddr;
    if (segments[i].p_type == PT_DYNAMIC) dynamic = &segments[i];
  }
  if (dynamic == nullptr) return {};
  return ReadDynamic(reinterpret_cast<const ElfW(Dyn)*>(bias + dynamic->p_vaddr), bias);
}

}  // namespace

const void* FindVdsoFunction(const char* name) noexcept {
  const std::uintptr_t image = getauxval(AT_SYSINFO_EHDR);
  if (image == 0) return nullptr;
  const Symbols symbols = FindSymbols(image);
  // Nothing but hash tables says how many symbols there are. Linkers put the names right behind
  // them.
  const auto* const end = reinterpret_cast<const ElfW(Sym)*>(symbols.names);
  if (symbols.first == nullptr || end == nullptr) return nullptr;
  for (const ElfW(Sym)* symbol = symbols.first; symbol + 1 <= end; ++symbol) {
    if (symbol->st_shndx == SHN_UNDEF || std::strcmp(symbols.names + symbol->st_name, name) != 0) {
      continue;
    }
    return reinterpret_cast<const void*>(symbols.bias + symbol->st_value);
  }
  return nullptr;
}

}  // namespace pprof::elf
