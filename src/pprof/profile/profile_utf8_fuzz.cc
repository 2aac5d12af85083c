// Whatever the bytes: the repaired text is valid by a second, differently written decoder, valid
// text is unchanged, and repairing twice changes nothing.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "src/pprof/profile/profile.h"
#include "src/pprof/profile/utf8.h"

namespace {

// Decodes to code points and checks their ranges, instead of looking at byte ranges.
bool DecodesCleanly(std::string_view text) {
  static constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<std::uint8_t>(text[i++]);
    if (lead < 0x80) continue;
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC0 || lead > 0xF7) return false;
    std::uint32_t code = lead & (0xFFu >> (length + 1));
    for (std::size_t k = 1; k < length; ++k, ++i) {
      if (i >= text.size() || (text[i] & 0xC0) != 0x80) return false;
      code = code << 6 | (static_cast<std::uint8_t>(text[i]) & 0x3Fu);
    }
    if (code < kLeast[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
      return false;
  }
  return true;
}

void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string repaired = pprof::profile::RepairUtf8(text);
  Require(DecodesCleanly(repaired));
  Require(DecodesCleanly(text) == (repaired == text));
  Require(pprof::profile::RepairUtf8(repaired) == repaired);

  pprof::profile::Profile profile;
  const pprof::profile::StringId id = profile.Intern(text);
  Require(profile.strings()[id] == repaired);
  Require(profile.Intern(repaired) == id);
  return 0;
}
