// Texts by number, each once. Used by all that gathers frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace pprof::symbolize {

// Not async-signal-safe. One thread at a time.
class StringTable {
 public:
  StringTable() { Intern(""); }
  // 0 is the empty text.
  std::uint32_t Intern(std::string_view text);
  const std::string& Get(std::uint32_t id) const { return strings_[id]; }
  std::size_t size() const { return strings_.size(); }
  std::size_t bytes() const { return bytes_; }
  std::deque<std::string> TakeStrings() { return std::move(strings_); }

 private:
  std::deque<std::string> strings_;  // stable, for the views in ids_
  std::unordered_map<std::string_view, std::uint32_t> ids_;
  std::size_t bytes_ = 0;
};

}  // namespace pprof::symbolize
