#include "src/pprof/view/json_writer.h"

#include <charconv>

#include "src/pprof/profile/utf8.h"

namespace pprof::view {

void JsonWriter::Escape(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  text_ += '"';
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte >= 0x20 && byte != 0x7f && byte != '"' && byte != '\\' && byte != '<') {
      text_ += character;
      continue;
    }
    text_ += "\\u00";
    text_ += kHex[byte >> 4];
    text_ += kHex[byte & 15];
  }
  text_ += '"';
}

void JsonWriter::Key(std::string_view key) {
  String(key);
  text_ += ':';
  needs_comma_ = false;
}

void JsonWriter::String(std::string_view text) {
  Comma();
  if (profile::ValidUtf8Prefix(text) == text.size()) return Escape(text);
  Escape(profile::RepairUtf8(text));
}

void JsonWriter::Number(std::int64_t number) {
  Comma();
  char digits[24];
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), number);
  static_cast<void>(error);
  text_.append(digits, end);
}

void JsonWriter::Bool(bool value) {
  Comma();
  text_ += value ? "true" : "false";
}

}  // namespace pprof::view
