// Valid UTF-8 out of any bytes: names from ELF files, file names and labels may be anything, and
// receivers of pprof refuse a profile with one invalid string. Used by Profile::Intern and by who
// needs to cut or check text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pprof::profile {

// Length of the valid prefix; text.size() when all of it is valid. Valid is what Unicode 15, table
// 3-7 ("Well-Formed UTF-8 Byte Sequences") says: no overlong forms, no surrogates, nothing above
// U+10FFFF. Async-signal-safe.
std::size_t ValidUtf8Prefix(std::string_view text) noexcept;

// Every byte that is part of no valid sequence becomes U+FFFD, as in Go's strings.ToValidUTF8 but
// one for each byte. Throws std::bad_alloc only. Not async-signal-safe.
std::string RepairUtf8(std::string_view text);

}  // namespace pprof::profile
