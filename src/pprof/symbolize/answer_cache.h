// Remembers answers: an address of a module is looked up once, not at every profile. Two
// generations: when the young one holds half of the limit the old one is dropped, so what is used
// stays and memory never exceeds the limit. Used by Symbolizer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/pprof/symbolize/symbolizer.h"

namespace pprof::symbolize {

// Texts by number; 0 is the empty one. Not async-signal-safe.
class StringTable {
 public:
  StringTable() { Intern(""); }
  std::uint32_t Intern(std::string_view text);
  const std::string& Get(std::uint32_t id) const { return strings_[id]; }
  std::size_t bytes() const { return bytes_; }
  std::deque<std::string> TakeStrings() { return std::move(strings_); }

 private:
  std::deque<std::string> strings_;  // stable, for the views in ids_
  std::unordered_map<std::string_view, std::uint32_t> ids_;
  std::size_t bytes_ = 0;
};

// Not async-signal-safe. One thread at a time.
class AnswerCache {
 public:
  explicit AnswerCache(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  // The frames of `offset` in the module `key`, their texts interned in `out`. False: not known.
  bool Find(const std::string& key, std::uint64_t offset, StringTable* out,
            std::vector<Frame>* frames);
  // Texts of `frames` are numbers in `texts`.
  void Add(const std::string& key, std::uint64_t offset, const StringTable& texts,
           const std::vector<Frame>& frames);
  std::size_t bytes() const;

 private:
  struct Generation {
    StringTable texts;
    std::unordered_map<std::string, std::unordered_map<std::uint64_t, std::vector<Frame>>> modules;
    std::size_t bytes = 0;
  };
  std::size_t max_bytes_;
  Generation young_, old_;
};

}  // namespace pprof::symbolize
