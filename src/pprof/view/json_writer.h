// JSON text, written from front to back. Strings are made valid UTF-8; '<' is always escaped, so
// that the text may stand in an HTML script element.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pprof::view {

// Commas are set by itself. One thread at a time. Throws std::bad_alloc only.
class JsonWriter {
 public:
  void BeginObject() { Open('{'); }
  void EndObject() { Close('}'); }
  void BeginArray() { Open('['); }
  void EndArray() { Close(']'); }
  void Key(std::string_view key);
  void String(std::string_view text);
  void Number(std::int64_t number);
  void Bool(bool value);

  std::string Take() { return std::move(text_); }

 private:
  void Comma() {
    if (needs_comma_) text_ += ',';
    needs_comma_ = true;
  }
  void Open(char bracket) {
    Comma();
    text_ += bracket;
    needs_comma_ = false;
  }
  void Close(char bracket) {
    text_ += bracket;
    needs_comma_ = true;
  }
  void Escape(std::string_view text);

  std::string text_;
  bool needs_comma_ = false;
};

}  // namespace pprof::view
