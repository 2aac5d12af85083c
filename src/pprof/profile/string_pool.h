// The string table of a profile: each text once, under a number. A window with many spans has tens
// of thousands of ids, so texts lie together in large blocks instead of in an allocation each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "src/pprof/base/large_vector.h"

namespace pprof::profile {

// Movable. One thread at a time. Throws std::bad_alloc only, and is then unchanged. Not
// async-signal-safe.
class StringPool {
 public:
  // Numbers are given out from 0 on; the same text gives the same number.
  std::uint32_t Intern(std::string_view text);
  // By number; they live as long as the pool, also when it is moved.
  const base::LargeVector<std::string_view>& strings() const { return strings_; }

 private:
  static constexpr std::size_t kBlockBytes = std::size_t{64} * 1024;

  std::string_view Store(std::string_view text);
  void Grow();

  base::LargeVector<std::string_view> strings_;
  base::LargeVector<std::uint32_t> hashes_;  // of strings_
  base::LargeVector<std::uint32_t>
      slots_;  // number + 1; 0: empty; a power of two, at most half full
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* free_ = nullptr;  // what is left of the last block
  std::size_t free_bytes_ = 0;
};

}  // namespace pprof::profile
