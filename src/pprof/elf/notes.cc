#include "src/pprof/elf/notes.h"

#include <elf.h>

#include "src/pprof/elf/byte_reader.h"

namespace pprof::elf {
namespace {

constexpr std::uint64_t kMaxBuildIdBytes = 64;

std::uint64_t Padded(std::uint64_t size) { return (size + 3) & ~std::uint64_t{3}; }

}  // namespace

Note FindNote(const std::uint8_t* notes, std::size_t size, std::string_view wanted,
              std::uint32_t wanted_type) {
  ByteReader reader(notes, notes + size);
  while (reader.ok() && reader.left() >= 12) {
    const std::uint32_t name_size = reader.U32();
    const std::uint32_t content_size = reader.U32();
    const std::uint32_t type = reader.U32();
    ByteReader name = reader.Take(Padded(name_size));
    const ByteReader content = reader.Take(Padded(content_size));
    if (!reader.ok()) break;
    if (type != wanted_type || name_size != wanted.size() + 1 || name.CString() != wanted) continue;
    return {content.position(), content_size};
  }
  return {nullptr, 0};
}

std::string FindBuildId(const std::uint8_t* notes, std::size_t size) {
  const Note id = FindNote(notes, size, "GNU", NT_GNU_BUILD_ID);
  if (id.size == 0 || id.size > kMaxBuildIdBytes) return "";
  return std::string(reinterpret_cast<const char*>(id.content), id.size);
}

}  // namespace pprof::elf
