// Memory for what is large and does not stay: straight from the system and back to it. Passing it
// through malloc changes the host for good: freeing a large block raises glibc's thresholds
// (mallopt(3), M_MMAP_THRESHOLD), and from then on every arena keeps up to twice that size free at
// its top. Seen: 11 MiB an arena after unpacking one section.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <string>
#include <vector>

namespace pprof::base {

inline constexpr std::size_t kLarge = std::size_t{64} * 1024;  // half of glibc's first threshold

// A host that has as many mappings as the kernel allows (vm.max_map_count) may still have memory.
// What malloc gives is told apart by not lying at the beginning of a page; what to free stands
// before it.
inline bool IsMapping(const void* memory) noexcept {
  return reinterpret_cast<std::uintptr_t>(memory) % 4096 == 0;
}
inline void* WithoutMappings(std::size_t bytes) {
  constexpr std::size_t kHead = alignof(std::max_align_t);
  static_assert(kHead >= sizeof(void*), "the pointer fits before");
  if (bytes > std::numeric_limits<std::size_t>::max() - 2 * kHead) throw std::bad_alloc();
  char* const whole = static_cast<char*>(::operator new(bytes + 2 * kHead));
  char* const memory = whole + (IsMapping(whole + kHead) ? 2 * kHead : kHead);
  reinterpret_cast<void**>(memory)[-1] = whole;
  return memory;
}

// For arrays; small ones come from malloc as ever. Any thread. Not async-signal-safe.
template <class T>
struct LargeAllocator {
  using value_type = T;

  LargeAllocator() = default;
  template <class U>
  LargeAllocator(const LargeAllocator<U>&) noexcept {}  // NOLINT(google-explicit-constructor)

  T* allocate(std::size_t count) {
    if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_alloc();
    const std::size_t bytes = count * sizeof(T);
    if (bytes < kLarge) return static_cast<T*>(::operator new(bytes));
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return static_cast<T*>(memory != MAP_FAILED ? memory : WithoutMappings(bytes));
  }
  void deallocate(T* memory, std::size_t count) noexcept {
    if (count * sizeof(T) < kLarge) return ::operator delete(memory);
    if (IsMapping(memory)) {
      munmap(memory, count * sizeof(T));
    } else {
      ::operator delete(reinterpret_cast<void**>(memory)[-1]);
    }
  }

  template <class U>
  bool operator==(const LargeAllocator<U>&) const noexcept {
    return true;
  }
  template <class U>
  bool operator!=(const LargeAllocator<U>&) const noexcept {
    return false;
  }
};

template <class T>
using LargeVector = std::vector<T, LargeAllocator<T>>;
using LargeString = std::basic_string<char, std::char_traits<char>, LargeAllocator<char>>;

// The same for libraries in C, which free without saying a size. nullptr: no memory.
inline void* AllocateLarge(std::size_t size) noexcept {
  if (size > std::numeric_limits<std::size_t>::max() - alignof(std::max_align_t)) return nullptr;
  const std::size_t whole = size + alignof(std::max_align_t);
  try {
    char* const memory = LargeAllocator<char>().allocate(whole);
    *reinterpret_cast<std::size_t*>(memory) = whole;
    return memory + alignof(std::max_align_t);
  } catch (...) {
    return nullptr;
  }
}
inline void FreeLarge(void* memory) noexcept {
  if (memory == nullptr) return;
  char* const whole = static_cast<char*>(memory) - alignof(std::max_align_t);
  LargeAllocator<char>().deallocate(whole, *reinterpret_cast<std::size_t*>(whole));
}

}  // namespace pprof::base
