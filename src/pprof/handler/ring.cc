#include "src/pprof/handler/ring.h"

#include <new>

namespace pprof::handler {

std::uint64_t* Ring::Reserve(std::uint32_t words) noexcept {
  const std::uint64_t head = head_.load(std::memory_order_relaxed);
  const std::uint64_t used = head - tail_.load(std::memory_order_acquire);
  const auto offset = static_cast<std::uint32_t>(head % kWords);
  const std::uint32_t to_end = kWords - offset;
  const std::uint32_t padding = to_end < words ? to_end : 0;
  if (used + padding + words > kWords) return nullptr;
  if (padding > 0) {
    auto* pad = reinterpret_cast<SampleHeader*>(&words_[offset]);
    pad->words = padding;  // both fields lie in the first word: one word of padding is enough
    pad->kind = RecordKind::kPadding;
  }
  reserved_at_ = head + padding;
  return &words_[reserved_at_ % kWords];
}

void Ring::Commit(std::uint32_t words) noexcept {
  head_.store(reserved_at_ + words, std::memory_order_release);
}

void Ring::CountLoss(std::uint64_t weight, std::uint64_t time_ns) noexcept {
  if (lost_.load(std::memory_order_relaxed) == 0) {
    lost_since_ns_.store(time_ns, std::memory_order_relaxed);
  }
  lost_.fetch_add(weight, std::memory_order_release);
}

bool Ring::HalfFull() const noexcept {
  return head_.load(std::memory_order_relaxed) - tail_.load(std::memory_order_relaxed) > kWords / 2;
}

const SampleHeader* Ring::Front() noexcept {
  for (;;) {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_.load(std::memory_order_acquire)) return nullptr;
    const auto* header = reinterpret_cast<const SampleHeader*>(&words_[tail % kWords]);
    if (header->kind != RecordKind::kPadding) return header;
    tail_.store(tail + header->words, std::memory_order_release);
  }
}

void Ring::Pop() noexcept {
  const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
  const auto* header = reinterpret_cast<const SampleHeader*>(&words_[tail % kWords]);
  tail_.store(tail + header->words, std::memory_order_release);
}

std::uint64_t Ring::TakeLoss(std::uint64_t* time_ns) noexcept {
  if (lost_.load(std::memory_order_relaxed) == 0) return 0;
  *time_ns = lost_since_ns_.load(std::memory_order_relaxed);
  return lost_.exchange(0, std::memory_order_acquire);
}

void Ring::Reset() noexcept {
  head_.store(0, std::memory_order_relaxed);
  tail_.store(0, std::memory_order_relaxed);
  lost_.store(0, std::memory_order_relaxed);
  owner.store(0, std::memory_order_relaxed);
  next_free.store(0, std::memory_order_relaxed);
  idle_ms = 0;
  retiring = false;
}

void RingPool::Init(void* memory, std::uint32_t count) noexcept {
  memory_ = static_cast<char*>(memory);
  count_ = count;
  high_water_.store(0, std::memory_order_relaxed);
  free_.store(0, std::memory_order_release);
}

Ring* RingPool::Take() noexcept {
  // Bounded: under extreme contention a sample is lost and counted, a handler never spins.
  for (int attempt = 0; attempt < 64; ++attempt) {
    std::uint64_t head = free_.load(std::memory_order_acquire);
    const auto first = static_cast<std::uint32_t>(head);
    if (first == 0) {
      std::uint32_t fresh = high_water_.load(std::memory_order_relaxed);
      if (fresh >= count_) return nullptr;
      // Zero-filled memory is an empty Ring: nothing to construct.
      if (high_water_.compare_exchange_weak(fresh, fresh + 1, std::memory_order_acq_rel)) {
        return at(fresh);
      }
      continue;
    }
    Ring* ring = at(first - 1);
    const std::uint64_t version = (head >> 32) + 1;
    const std::uint64_t next = version << 32 | ring->next_free.load(std::memory_order_relaxed);
    if (free_.compare_exchange_weak(head, next, std::memory_order_acq_rel)) return ring;
  }
  return nullptr;
}

void RingPool::Give(Ring* ring) noexcept {
  ring->Reset();
  const auto index = static_cast<std::uint32_t>((reinterpret_cast<char*>(ring) - memory_) /
                                                static_cast<std::ptrdiff_t>(Ring::kBytes));
  std::uint64_t head = free_.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    ring->next_free.store(static_cast<std::uint32_t>(head), std::memory_order_relaxed);
    next = ((head >> 32) + 1) << 32 | (index + 1);
  } while (!free_.compare_exchange_weak(head, next, std::memory_order_acq_rel));
}

}  // namespace pprof::handler
