#include "src/pyroscope/text.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace pyroscope::internal {
namespace {

constexpr std::size_t kMinSecretBytes = 4;
constexpr std::string_view kHidden = "***";

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 0;  // 0: broken
};

// The code point at `at` by the table of well-formed byte sequences (Unicode 15, table 3-7).
CodePoint Decode(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xC2 || first > 0xF4) return {};
  const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  std::uint32_t value = first & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return {};
    value = value << 6U | (byte(i) & 0x3FU);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {};
  return {value, length};
}

// Ends a line, or changes what a reader of the log sees.
bool IsHarmful(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029 ||
         (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

}  // namespace

bool IsUtf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = Decode(text, at);
    if (point.bytes == 0) return false;
    at += point.bytes;
  }
  return true;
}

std::string Printable(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view kCut = "...";
  std::string out;
  std::size_t room = 0;  // where the mark of a cut still fits
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = Decode(text, at);
    std::string_view piece = "?";
    if (point.bytes == 1 && (point.value == '\n' || point.value == '\t' || point.value == '\r')) {
      piece = " ";
    } else if (point.bytes > 0 && !IsHarmful(point.value)) {
      piece = text.substr(at, point.bytes);
    }
    if (out.size() + piece.size() > max_bytes) {
      out.resize(room);
      return out.append(kCut.substr(0, std::min(kCut.size(), max_bytes)));
    }
    out.append(piece);
    if (out.size() + kCut.size() <= max_bytes) room = out.size();
    at += std::max<std::size_t>(point.bytes, 1);
  }
  return out;
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

void Redactor::Add(std::string secret) {
  if (secret.size() < kMinSecretBytes) return;
  const auto longer = [](const std::string& a, const std::string& b) {
    return a.size() > b.size();
  };
  secrets_.insert(std::upper_bound(secrets_.begin(), secrets_.end(), secret, longer),
                  std::move(secret));
}

std::string Redactor::Clean(std::string_view text, std::size_t max_bytes) const {
  std::string clean(text);
  for (const std::string& secret : secrets_) {
    for (std::size_t at = 0; (at = clean.find(secret, at)) != std::string::npos;) {
      clean.replace(at, secret.size(), kHidden);
      at += kHidden.size();
    }
  }
  return Printable(clean, max_bytes);
}

}  // namespace pyroscope::internal
