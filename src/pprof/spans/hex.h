// Ids as text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pprof::spans {

// Lower-case digits; empty for an id of zeros, which is none. Throws std::bad_alloc only.
template <std::size_t kSize>
std::string Hex(const std::uint8_t (&bytes)[kSize]) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (std::all_of(bytes, bytes + kSize, [](std::uint8_t byte) { return byte == 0; })) return {};
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace pprof::spans
