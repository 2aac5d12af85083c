// A stack of plain structs for the hot path of scopes. Push hands out the slot to be written in
// place: copying a struct that was just written field by field stalls the processor for longer than
// all the rest of a scope takes.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <type_traits>

namespace pprof::labels {

// One thread. Not async-signal-safe. Nothing throws.
template <class T>
class LayerStack {
  static_assert(std::is_trivially_copyable_v<T>, "moved by memmove");

 public:
  LayerStack() noexcept = default;
  LayerStack(const LayerStack&) = delete;
  LayerStack& operator=(const LayerStack&) = delete;
  ~LayerStack() { std::free(begin_); }

  bool empty() const noexcept { return end_ == begin_; }
  std::size_t size() const noexcept { return static_cast<std::size_t>(end_ - begin_); }
  T& operator[](std::size_t i) noexcept { return begin_[i]; }
  const T* begin() const noexcept { return begin_; }
  const T* end() const noexcept { return end_; }
  T& back() noexcept { return end_[-1]; }
  const T& back() const noexcept { return end_[-1]; }

  bool full() const noexcept { return end_ == limit_; }
  // A new slot on top, not initialised; nullptr without memory.
  T* Push() noexcept { return full() && !Grow() ? nullptr : end_++; }
  // The same. REQUIRES: !full().
  T& PushWhereRoom() noexcept { return *end_++; }
  void Pop() noexcept { --end_; }
  void Erase(std::size_t i) noexcept {
    std::memmove(begin_ + i, begin_ + i + 1, (size() - i - 1) * sizeof(T));
    --end_;
  }
  void Clear() noexcept { end_ = begin_; }

 private:
  bool Grow() noexcept {
    const std::size_t used = size();
    const std::size_t capacity = used == 0 ? 8 : 2 * used;
    auto* bigger = static_cast<T*>(std::realloc(begin_, capacity * sizeof(T)));
    if (bigger == nullptr) return false;
    begin_ = bigger;
    end_ = bigger + used;
    limit_ = bigger + capacity;
    return true;
  }

  T* begin_ = nullptr;
  T* end_ = nullptr;
  T* limit_ = nullptr;
};

}  // namespace pprof::labels
