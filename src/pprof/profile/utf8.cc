#include "src/pprof/profile/utf8.h"

#include <cstdint>
#include <cstring>

namespace pprof::profile {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// What may follow a lead byte: how many continuation bytes, and the range of the first of them (the
// others are 80..BF). length 0: no lead byte of a longer sequence.
struct Lead {
  std::size_t length;
  std::uint8_t second_min;
  std::uint8_t second_max;
};

Lead LeadOf(std::uint8_t byte) noexcept {
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};  // below: overlong
  if (byte == 0xED) return {3, 0x80, 0x9F};  // above: surrogates
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};  // below: overlong
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};  // above: beyond U+10FFFF
  return {0, 0, 0};
}

std::uint8_t At(std::string_view text, std::size_t i) noexcept {
  return static_cast<std::uint8_t>(text[i]);
}

// Length of the sequence that starts at `at`; 0: not a valid one.
std::size_t SequenceLength(std::string_view text, std::size_t at) noexcept {
  const std::uint8_t first = At(text, at);
  if (first < 0x80) return 1;
  const Lead lead = LeadOf(first);
  if (lead.length == 0 || text.size() - at < lead.length) return 0;
  const std::uint8_t second = At(text, at + 1);
  if (second < lead.second_min || second > lead.second_max) return 0;
  for (std::size_t i = 2; i < lead.length; ++i) {
    if ((At(text, at + i) & 0xC0) != 0x80) return 0;
  }
  return lead.length;
}

}  // namespace

std::size_t ValidUtf8Prefix(std::string_view text) noexcept {
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t word = 0;  // nearly all text is ASCII: eight bytes at once
    while (text.size() - at >= sizeof(word)) {
      std::memcpy(&word, text.data() + at, sizeof(word));
      if ((word & 0x8080808080808080u) != 0) break;
      at += sizeof(word);
    }
    if (at == text.size()) break;
    const std::size_t length = SequenceLength(text, at);
    if (length == 0) break;
    at += length;
  }
  return at;
}

std::string RepairUtf8(std::string_view text) {
  std::string repaired;
  while (!text.empty()) {
    const std::size_t valid = ValidUtf8Prefix(text);
    repaired.append(text.substr(0, valid));
    text.remove_prefix(valid);
    if (text.empty()) break;
    repaired.append(kReplacement);
    text.remove_prefix(1);
  }
  return repaired;
}

}  // namespace pprof::profile
