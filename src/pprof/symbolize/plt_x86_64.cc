// PLT stubs of x86-64. Each form (lazy, IBT, .plt.got) ends in `jmp *slot(%rip)`. System V ABI,
// AMD64 supplement, "Procedure Linkage Table".
#include <algorithm>
#include <cstring>

#include "src/pprof/symbolize/plt_slot.h"

namespace pprof::symbolize {

constexpr std::uint64_t kStub = 16;

// ff 25 and a displacement from its end.
std::uint64_t PltSlot(const SectionData& code, const ElfSection& section, std::uint64_t address) {
  const std::uint64_t start = (address - section.address) / kStub * kStub;
  std::uint8_t bytes[kStub] = {};
  const auto size = static_cast<std::size_t>(std::min(kStub, section.size - start));
  if (!code.Read(start, bytes, size)) return 0;
  for (std::size_t i = 0; i + 6 <= size; ++i) {
    if (bytes[i] != 0xff || bytes[i + 1] != 0x25) continue;
    std::int32_t displacement = 0;
    std::memcpy(&displacement, bytes + i + 2, sizeof displacement);
    const std::uint64_t next = section.address + start + i + 6;
    return next + static_cast<std::uint64_t>(std::int64_t{displacement});
  }
  return 0;
}

}  // namespace pprof::symbolize
