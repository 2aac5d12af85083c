// ELF notes: where a build id stands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace pprof::elf {

// The first NT_GNU_BUILD_ID among the notes of a PT_NOTE segment, raw; empty: none. At most 64
// bytes (an id is 20 or less). Trusts nothing. Format: elf(5), "Notes": name and descriptor are
// padded to 4 bytes.
std::string FindBuildId(const std::uint8_t* notes, std::size_t size);

}  // namespace pprof::elf
