// PLT stubs of aarch64: adrp x16, page; ldr x17, [x16, offset]; add x16, x16, offset; br x17,
// perhaps behind a `bti c`. ELF for the Arm 64-bit Architecture; Arm ARM for the encodings.
#include "src/pprof/symbolize/plt_slot.h"

namespace pprof::symbolize {
namespace {

constexpr std::uint32_t kBtiC = 0xd503245f;
constexpr std::uint64_t kInstruction = 4;

// adrp x16 and ldr x17, [x16, #imm], as the whole stub has them.
bool IsAdrpX16(std::uint32_t code) { return (code & 0x9f00001f) == 0x90000010; }
bool IsLdrX17FromX16(std::uint32_t code) { return (code & 0xffc003ff) == 0xf9400211; }

// The page that `adrp` at `address` computes.
std::uint64_t AdrpPage(std::uint32_t code, std::uint64_t address) {
  const std::uint64_t pages = (code >> 5 & 0x7ffff) << 2 | (code >> 29 & 3);
  const std::uint64_t sign = std::uint64_t{1} << 20;
  return (address & ~std::uint64_t{0xfff}) + (((pages ^ sign) - sign) << 12);
}

}  // namespace

std::uint64_t PltSlot(const SectionData& code, const ElfSection& section, std::uint64_t address) {
  const std::uint64_t here = (address - section.address) / kInstruction * kInstruction;
  std::uint32_t pair[2] = {};
  if (!code.Read(here, pair, kInstruction)) return 0;
  // The stub's adrp is this instruction, one of the three before it, or behind this bti.
  const std::uint64_t first = pair[0] == kBtiC ? here + kInstruction : here;
  for (std::uint64_t back = 0; back <= 3 * kInstruction && back <= first; back += kInstruction) {
    const std::uint64_t at = first - back;
    if (at + sizeof pair > section.size || !code.Read(at, pair, sizeof pair)) continue;
    if (!IsAdrpX16(pair[0]) || !IsLdrX17FromX16(pair[1])) continue;
    return AdrpPage(pair[0], section.address + at) + (pair[1] >> 10 & 0xfff) * std::uint64_t{8};
  }
  return 0;
}

}  // namespace pprof::symbolize
