// PLT stubs: each jumps through a slot of the GOT, and the relocation of that slot names the
// function. How a stub says which slot: plt_x86_64.cc, plt_aarch64.cc.
#include <elf.h>

#include <algorithm>

#include "src/pprof/symbolize/plt_slot.h"
#include "src/pprof/symbolize/section_data.h"
#include "src/pprof/symbolize/symbol_table.h"

namespace pprof::symbolize {
namespace {

constexpr std::uint64_t kMaxRelocations = 4u << 20;  // bytes
constexpr int kMaxSections = 8;                      // real files have three at most

struct Stub {
  std::size_t index;   // of the address asked for
  std::uint64_t slot;  // address of the GOT slot; 0: unknown
};

std::vector<Stub> FindStubs(const ElfFile& file, const std::vector<std::uint64_t>& addresses,
                            const std::vector<std::string>& names) {
  std::vector<Stub> stubs;
  MemoryBudget none(0);
  int left = kMaxSections;
  for (const ElfSection& section : file.sections()) {
    if (left == 0) break;
    if (!section.has_bytes() || section.name.compare(0, 4, ".plt") != 0) continue;
    --left;
    SectionData code;
    if (!code.Open(file, &section, &none)) continue;
    auto at = std::lower_bound(addresses.begin(), addresses.end(), section.address);
    for (; at != addresses.end() && *at - section.address < section.size; ++at) {
      const auto index = static_cast<std::size_t>(at - addresses.begin());
      const std::uint64_t slot = names[index].empty() ? PltSlot(code, section, *at) : 0;
      if (slot != 0) stubs.push_back({index, slot});
    }
  }
  return stubs;
}

}  // namespace

void FindPltStubs(const ElfFile& file, const std::vector<std::uint64_t>& addresses,
                  std::vector<std::string>* names) {
  const std::vector<Stub> stubs = FindStubs(file, addresses, *names);
  const ElfSection* dynsym = file.FindType(SHT_DYNSYM);
  if (stubs.empty() || dynsym == nullptr || dynsym->link >= file.sections().size()) return;
  const ElfSection& strings = file.sections()[dynsym->link];
  MemoryBudget none(0);
  SectionData symbols, text;
  if (!strings.has_bytes() || !symbols.Open(file, dynsym, &none) ||
      !text.Open(file, &strings, &none))
    return;
  for (const char* name : {".rela.plt", ".rela.dyn"}) {
    const ElfSection* section = file.Find(name);
    SectionData table;
    if (section == nullptr || section->size > kMaxRelocations || !table.Open(file, section, &none))
      continue;
    std::vector<Elf64_Rela> relocations(static_cast<std::size_t>(section->size) /
                                        sizeof(Elf64_Rela));
    if (!table.Read(0, relocations.data(), relocations.size() * sizeof(Elf64_Rela))) continue;
    std::sort(relocations.begin(), relocations.end(),
              [](const Elf64_Rela& a, const Elf64_Rela& b) { return a.r_offset < b.r_offset; });
    for (const Stub& stub : stubs) {
      const auto found = std::lower_bound(
          relocations.begin(), relocations.end(), stub.slot,
          [](const Elf64_Rela& a, std::uint64_t slot) { return a.r_offset < slot; });
      if (found == relocations.end() || found->r_offset != stub.slot) continue;
      Elf64_Sym symbol = {};
      if (!symbols.Read(ELF64_R_SYM(found->r_info) * sizeof symbol, &symbol, sizeof symbol))
        continue;
      const std::string function = text.String(symbol.st_name);
      if (!function.empty()) (*names)[stub.index] = function + "@plt";
    }
  }
}

}  // namespace pprof::symbolize
