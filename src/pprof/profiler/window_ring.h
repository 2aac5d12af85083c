// The profiles of the last minutes, bounded in age and memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include "src/pprof/profile/profile.h"
#include "src/pprof/view/document.h"

namespace pprof::profiler {

// One thread at a time. Throws std::bad_alloc only.
class WindowRing {
 public:
  WindowRing(std::size_t max_bytes, std::int64_t keep_ns)
      : max_bytes_(max_bytes), keep_ns_(keep_ns) {}

  // Forgets the oldest profiles that are over the limits; the newest one stays whatever its size.
  void Add(profile::Profile profile);
  view::Windows All() const;
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Kept {
    std::shared_ptr<const profile::Profile> profile;
    std::size_t bytes;
  };
  std::deque<Kept> kept_;  // oldest first
  std::size_t bytes_ = 0;
  const std::size_t max_bytes_;
  const std::int64_t keep_ns_;
};

}  // namespace pprof::profiler
