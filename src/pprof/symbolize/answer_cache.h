// Remembers answers: an address of a module is looked up once, not at every profile. Two
// generations: when the young one holds half of the limit the old one is dropped, so what is used
// stays and memory never exceeds the limit. Used by Symbolizer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/pprof/symbolize/string_table.h"
#include "src/pprof/symbolize/symbolizer.h"

namespace pprof::symbolize {

// Not async-signal-safe. One thread at a time.
class AnswerCache {
 public:
  explicit AnswerCache(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  // Sets the frames of those `offsets` in the module `key` that are known, their texts interned in
  // `out`. Returns the indices of the others.
  std::vector<std::size_t> Find(const std::string& key, const std::vector<std::uint64_t>& offsets,
                                StringTable* out, std::vector<std::vector<Frame>>* frames);
  // `answers` are parallel to `offsets`; texts are numbers in `texts`.
  void Add(const std::string& key, const std::vector<std::uint64_t>& offsets,
           const StringTable& texts, const std::vector<std::vector<Frame>>& answers);
  std::size_t bytes() const;

 private:
  using Module = std::unordered_map<std::uint64_t, std::vector<Frame>>;
  struct Generation {
    StringTable texts;
    std::unordered_map<std::string, Module> modules;
    std::size_t bytes = 0;
  };
  std::size_t bytes_of_young() const;

  std::size_t max_bytes_;
  Generation young_, old_;
};

}  // namespace pprof::symbolize
