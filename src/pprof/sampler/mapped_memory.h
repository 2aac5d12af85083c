// Memory for samples, straight from the system and back to it: what a profile needs for seconds
// must not stay in the arenas of the host's malloc. Each profile may have a collector thread of its
// own, each of those is given another arena, and malloc keeps in every one of them what the largest
// profile took there.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <limits>
#include <new>
#include <vector>

namespace pprof::sampler {

// For a few large arrays: each takes whole pages. Any thread. Not async-signal-safe.
template <class T>
struct MappedAllocator {
  using value_type = T;

  MappedAllocator() = default;
  template <class U>
  MappedAllocator(const MappedAllocator<U>&) noexcept {}  // NOLINT(google-explicit-constructor)

  T* allocate(std::size_t count) {
    if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_alloc();
    void* memory = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t count) noexcept { munmap(memory, count * sizeof(T)); }

  template <class U>
  bool operator==(const MappedAllocator<U>&) const noexcept {
    return true;
  }
  template <class U>
  bool operator!=(const MappedAllocator<U>&) const noexcept {
    return false;
  }
};

template <class T>
using MappedVector = std::vector<T, MappedAllocator<T>>;

// What the smallest arrays hold: less would take a page as well.
inline constexpr std::size_t kSmallestMapping = 4096;

}  // namespace pprof::sampler
