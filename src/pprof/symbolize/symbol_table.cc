#include "src/pprof/symbolize/symbol_table.h"

#include <elf.h>

#include <algorithm>

#include "src/pprof/symbolize/section_data.h"

namespace pprof::symbolize {
namespace {

constexpr std::size_t kSymbolsARead = 4096;
// More than any real table has; a sparse file can claim terabytes.
constexpr std::uint64_t kMaxSymbols = 16u << 20;
// Of the string table while symbols are looked at: 1 GiB. Names that lie far apart on purpose ask
// for a block each.
constexpr std::uint64_t kMaxBlockReads = 1u << 16;

struct Candidate {
  std::uint64_t start = 0;
  std::uint32_t name = 0;  // offset in the string table; 0: no candidate
  std::uint8_t rank = 0;
};

struct Candidates {
  std::vector<Candidate> covering;  // the best symbol whose extent holds the address
  // The last symbol at or below the address, kept only where it first applies; see Nearest().
  std::vector<Candidate> below;
  std::vector<bool> below_is_sized;
};

// Assembly code has symbols without type; sections, files, data and TLS have others.
bool IsCodeSymbol(const ElfFile& file, const Elf64_Sym& symbol) {
  if (symbol.st_shndx == SHN_UNDEF || symbol.st_name == 0) return false;
  switch (ELF64_ST_TYPE(symbol.st_info)) {
    case STT_FUNC:
    case STT_GNU_IFUNC:
      return true;
    case STT_NOTYPE:
      return file.IsCode(symbol.st_value);
    default:
      return false;
  }
}

// Where code and data alternate, aarch64's assemblers write local symbols $x and $d, perhaps with a
// suffix behind a dot (ELF for the Arm 64-bit Architecture, 5.5.4): no names of anything.
bool IsMappingSymbol(const Elf64_Sym& symbol, SectionData* text) {
  if (symbol.st_info != ELF64_ST_INFO(STB_LOCAL, STT_NOTYPE) || symbol.st_size != 0) return false;
  const std::string name = text->String(symbol.st_name, 3);
  return name.size() >= 2 && name[0] == '$' && (name[1] == 'x' || name[1] == 'd') &&
         (name.size() == 2 || name[2] == '.');
}

std::uint8_t RankOf(const Elf64_Sym& symbol) {
  const bool function = ELF64_ST_TYPE(symbol.st_info) != STT_NOTYPE;
  const bool sized = symbol.st_size > 0;
  const unsigned binding = ELF64_ST_BIND(symbol.st_info);
  const unsigned scope = binding == STB_GLOBAL ? 2 : binding == STB_WEAK ? 1 : 0;
  return static_cast<std::uint8_t>((sized ? 8 : 0) + (function ? 4 : 0) + scope);
}

bool Better(const Candidate& a, const Candidate& b) {
  if (b.name == 0) return true;
  return a.start != b.start ? a.start > b.start : a.rank >= b.rank;
}

// Linkers append the version of an exported symbol: shm_open@GLIBC_2.2.5, memcpy@@GLIBC_2.14.
std::string WithoutVersion(std::string name) {
  const std::size_t at = name.find('@', 1);
  if (at != std::string::npos) name.resize(at);
  return name;
}

void Offer(const Elf64_Sym& symbol, const std::vector<std::uint64_t>& addresses, WorkBudget* work,
           Candidates* best) {
  const Candidate candidate{symbol.st_value, symbol.st_name, RankOf(symbol)};
  const auto first = std::lower_bound(addresses.begin(), addresses.end(), candidate.start);
  if (first == addresses.end()) return;
  const auto at = static_cast<std::size_t>(first - addresses.begin());
  if (Better(candidate, best->below[at])) {
    best->below[at] = candidate;
    best->below_is_sized[at] = symbol.st_size > 0;
  }
  for (std::size_t i = at; i < addresses.size(); ++i) {
    if (addresses[i] - candidate.start >= symbol.st_size || !work->Step()) break;
    if (Better(candidate, best->covering[i])) best->covering[i] = candidate;
  }
}

// Each entry of `below` stands for all addresses from its own to the next filled one.
std::vector<Candidate> Choose(const ElfFile& file, const std::vector<std::uint64_t>& addresses,
                              const Candidates& best) {
  std::vector<Candidate> chosen = best.covering;
  Candidate below;
  bool sized = false;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (best.below[i].name != 0) {
      below = best.below[i];
      sized = best.below_is_sized[i];
    }
    const bool reaches = below.name != 0 && !sized && addresses[i] < file.CodeEnd(below.start);
    if (reaches && Better(below, chosen[i])) chosen[i] = below;
  }
  return chosen;
}

}  // namespace

void FindSymbols(const ElfFile& file, std::uint32_t section_type,
                 const std::vector<std::uint64_t>& addresses, WorkBudget* work,
                 std::vector<std::string>* names) {
  const ElfSection* section = file.FindType(section_type);
  if (section == nullptr || section->link >= file.sections().size()) return;
  const ElfSection& text_section = file.sections()[section->link];
  MemoryBudget none(0);
  SectionData table, text;
  if (!text_section.has_bytes() || !table.Open(file, section, &none) ||
      !text.Open(file, &text_section, &none))
    return;
  Candidates best;
  best.covering.resize(addresses.size());
  best.below.resize(addresses.size());
  best.below_is_sized.resize(addresses.size());
  std::vector<Elf64_Sym> block(kSymbolsARead);
  const std::uint64_t count = std::min(table.size() / sizeof(Elf64_Sym), kMaxSymbols);
  for (std::uint64_t done = 0; done < count; done += block.size()) {
    block.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kSymbolsARead, count - done)));
    if (!table.Read(done * sizeof(Elf64_Sym), block.data(), block.size() * sizeof(Elf64_Sym)))
      return;
    if (text.block_reads() > kMaxBlockReads) {
      work->Step(~std::uint64_t{0});
      break;
    }
    for (const Elf64_Sym& symbol : block) {
      if (IsCodeSymbol(file, symbol) && !IsMappingSymbol(symbol, &text))
        Offer(symbol, addresses, work, &best);
    }
  }
  const std::vector<Candidate> chosen = Choose(file, addresses, best);
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (chosen[i].name != 0 && (*names)[i].empty())
      (*names)[i] = WithoutVersion(text.String(chosen[i].name));
  }
}

}  // namespace pprof::symbolize
