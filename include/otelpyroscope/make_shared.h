// Shared objects of the bridge, each one allocation, that are simply missing when memory is out:
// std::make_shared would throw, and the functions of the OpenTelemetry API that the bridge
// implements are noexcept. A span that has a pprof::SpanState of its own lies in the memory of that
// one, so that both together are one allocation. Of the other spans a thread keeps the memory of
// the last that it freed for the next that it starts: one child after another then allocates
// nothing, which is a fifth of what the bridge adds to a span.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

#include <otelpyroscope/namespace.h>
#include <pprof/trace_context.h>

namespace otelpyroscope {
inline namespace v1 {
namespace internal {

// Enough for a T and the reference counts that a standard library keeps with it.
template <class T>
inline constexpr std::size_t kRoomFor = sizeof(T) + 8 * sizeof(void*);

// AddressSanitizer is to see each use of a span that is gone.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kReuseMemory = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kReuseMemory = false;
#else
inline constexpr bool kReuseMemory = true;
#endif
#else
inline constexpr bool kReuseMemory = true;
#endif

// One thread's memory of `kRoom` bytes for the next object. No destructor: whoever sets `keeps`
// clears it and frees `block` when the thread ends.
struct SpareBlock {
  void* block;  // or nullptr
  bool keeps;
};

template <std::size_t kRoom>
OTELPYROSCOPE_SHARED inline SpareBlock& ThisThreadsSpare() noexcept {
  static thread_local SpareBlock spare{};
  return spare;
}

// nullptr without memory.
template <std::size_t kRoom>
void* AllocateRoom() noexcept {
  SpareBlock& spare = ThisThreadsSpare<kRoom>();
  void* const block = std::exchange(spare.block, nullptr);
  return block != nullptr ? block : ::operator new(kRoom, std::nothrow);
}

template <std::size_t kRoom>
void FreeRoom(void* block) noexcept {
  SpareBlock& spare = ThisThreadsSpare<kRoom>();
  if (!spare.keeps || spare.block != nullptr) return ::operator delete(block);
  spare.block = block;
}

// From now on the calling thread keeps a block, until StopKeeping.
template <std::size_t kRoom>
void KeepOne() noexcept {
  ThisThreadsSpare<kRoom>().keeps = kReuseMemory;
}
template <std::size_t kRoom>
void StopKeeping() noexcept {
  SpareBlock& spare = ThisThreadsSpare<kRoom>();
  spare.keeps = false;
  ::operator delete(std::exchange(spare.block, nullptr));
}

// Gives std::allocate_shared memory that is there already, so that nothing can fail any more.
template <class T, std::size_t kRoom>
class PlacedAllocator {
 public:
  using value_type = T;
  template <class U>
  struct rebind {  // NOLINT(readability-identifier-naming): an allocator's names
    using other = PlacedAllocator<U, kRoom>;
  };

  // `home`: whose room() `place` is, with one reference to it; nullptr: `place` is from
  // AllocateRoom.
  PlacedAllocator(void* place, pprof::SpanState* home) noexcept : place_(place), home_(home) {}
  template <class U>  // NOLINTNEXTLINE(google-explicit-constructor): as allocators convert
  PlacedAllocator(const PlacedAllocator<U, kRoom>& other) noexcept
      : place_(other.place()), home_(other.home()) {}

  T* allocate(std::size_t) noexcept {
    static_assert(sizeof(T) <= kRoom && alignof(T) <= alignof(std::max_align_t), "see kRoomFor");
    return static_cast<T*>(place_);
  }
  void deallocate(T* place, std::size_t) noexcept {
    if (home_ != nullptr) {
      home_->Unref();
    } else {
      FreeRoom<kRoom>(place);
    }
  }
  void* place() const noexcept { return place_; }
  pprof::SpanState* home() const noexcept { return home_; }

 private:
  void* place_;
  pprof::SpanState* home_;
};

template <class T, std::size_t kRoom, class U>
bool operator==(const PlacedAllocator<T, kRoom>& a, const PlacedAllocator<U, kRoom>& b) noexcept {
  return a.place() == b.place();
}
template <class T, std::size_t kRoom, class U>
bool operator!=(const PlacedAllocator<T, kRoom>& a, const PlacedAllocator<U, kRoom>& b) noexcept {
  return !(a == b);
}

// In the room of `home`, which was created with kRoomFor<T> bytes and whose reference the object
// takes over.
template <class T, class... Arguments>
std::shared_ptr<T> MakeSharedIn(pprof::SpanState& home, Arguments&&... arguments) noexcept {
  return std::allocate_shared<T>(PlacedAllocator<T, kRoomFor<T>>(home.room(), &home),
                                 std::forward<Arguments>(arguments)...);
}

// nullptr without memory: `arguments` are then untouched.
template <class T, class... Arguments>
std::shared_ptr<T> MakeShared(Arguments&&... arguments) noexcept {
  void* place = AllocateRoom<kRoomFor<T>>();
  if (place == nullptr) return nullptr;
  return std::allocate_shared<T>(PlacedAllocator<T, kRoomFor<T>>(place, nullptr),
                                 std::forward<Arguments>(arguments)...);
}

}  // namespace internal
}  // namespace v1
}  // namespace otelpyroscope
