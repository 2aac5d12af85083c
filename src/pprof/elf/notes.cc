#include "src/pprof/elf/notes.h"

#include <elf.h>

#include "src/pprof/elf/byte_reader.h"

namespace pprof::elf {
namespace {

constexpr std::uint64_t kMaxBuildIdBytes = 64;

std::uint64_t Padded(std::uint64_t size) { return (size + 3) & ~std::uint64_t{3}; }

}  // namespace

std::string FindBuildId(const std::uint8_t* notes, std::size_t size) {
  ByteReader reader(notes, notes + size);
  while (reader.ok() && reader.left() >= 12) {
    const std::uint32_t name_size = reader.U32();
    const std::uint32_t id_size = reader.U32();
    const std::uint32_t type = reader.U32();
    ByteReader name = reader.Take(Padded(name_size));
    ByteReader id = reader.Take(Padded(id_size));
    if (!reader.ok()) break;
    if (type != NT_GNU_BUILD_ID || name_size != 4 || name.CString() != "GNU") continue;
    if (id_size == 0 || id_size > kMaxBuildIdBytes) continue;
    return std::string(reinterpret_cast<const char*>(id.position()), id_size);
  }
  return "";
}

}  // namespace pprof::elf
