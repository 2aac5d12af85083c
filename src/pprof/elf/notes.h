// ELF notes: where a build id stands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pprof::elf {

// What stands in a note; content is nullptr if there is none.
struct Note {
  const std::uint8_t* content;
  std::size_t size;
};

// The first note of that name and type in a PT_NOTE segment. Trusts nothing; nothing is copied.
// Format: elf(5), "Notes": name and content are padded to 4 bytes.
Note FindNote(const std::uint8_t* notes, std::size_t size, std::string_view name,
              std::uint32_t type);

// The first NT_GNU_BUILD_ID among the notes of a PT_NOTE segment, raw; empty: none. At most 64
// bytes (an id is 20 or less).
std::string FindBuildId(const std::uint8_t* notes, std::size_t size);

}  // namespace pprof::elf
