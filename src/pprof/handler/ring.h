// The sample buffer between the signal handler of one thread (producer) and the collector
// (consumer).
//
// A record is written in place while the stack is walked: the handler reserves room for the deepest
// stack, writes, and commits what it used. Records never wrap; where one would, a padding record
// fills the end of the buffer. What does not fit is counted with its weight and the time of the
// first loss, and the collector turns that into a frame.
//
// Its 16 KiB hold 10 to 25 ordinary samples beside the room for one of 512 frames: 100 ms of a busy
// thread at 100 Hz. The handler wakes the collector when a buffer is half full, so deep stacks and
// late collectors cost samples last.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "src/pprof/handler/thread_rules.h"

namespace pprof::handler {

// Deeper stacks lose their root-most frames (Stats::stacks_truncated).
inline constexpr std::uint32_t kMaxFrames = 512;

enum class RecordKind : std::uint8_t {
  kPadding = 1,
  kSample = 2,
  kExitCorrection = 3,  // never in a ring: without frames, made by the sampler
};

// First words of a record. After it, each padded to whole words: span name, user labels, frames
// (leaf first).
struct SampleHeader {
  std::uint32_t words;  // of the whole record, this header included
  RecordKind kind;
  std::uint8_t walk_end;  // WalkEnd
  std::uint8_t labels;    // TraceLabels: which of the ids below are labels
  std::uint8_t has_name;
  std::uint32_t weight;       // 1 + overrun
  std::uint16_t frames;       // words at the end of the record
  std::uint16_t name_bytes;   // behind the header
  std::uint64_t time_ns;      // CLOCK_MONOTONIC
  std::uint32_t label_bytes;  // behind the name: see LabelBlob
  std::uint32_t reserved;
  std::uint64_t trace_id[2];  // bytes as in TraceContext
  std::uint64_t span_id;      // the value of the label span_id
};
static_assert(sizeof(SampleHeader) == 56, "whole words");

// Single producer (handlers of the owner's thread), single consumer. All positions count words and
// only grow.
class Ring {
 public:
  static constexpr std::uint32_t kBytes = 16384 + sizeof(ThreadRules);

  // Room for one record of at most `words` contiguous words, or nullptr. Async-signal-safe.
  std::uint64_t* Reserve(std::uint32_t words) noexcept;
  // Publishes the first `words` of what Reserve gave. Async-signal-safe.
  void Commit(std::uint32_t words) noexcept;
  // Counts what could not be stored. Async-signal-safe.
  void CountLoss(std::uint64_t weight, std::uint64_t time_ns) noexcept;
  // Async-signal-safe.
  bool HalfFull() const noexcept;

  // The oldest record, or nullptr; valid until Pop. Consumer only.
  const SampleHeader* Front() noexcept;
  void Pop() noexcept;
  // Weight lost since the last call, 0 if none; *time_ns is that of the first loss. Consumer only.
  std::uint64_t TakeLoss(std::uint64_t* time_ns) noexcept;
  // REQUIRES: no producer.
  void Reset() noexcept;

  // For the pool and the collector.
  std::atomic<std::uint32_t> next_free{0};  // index + 1 of the next ring in the pool's free list
  std::atomic<std::uint32_t> owner{0};      // index + 1 of the thread record that uses it
  std::uint32_t idle_ms = 0;                // collector only: found empty for so long
  bool retiring = false;  // collector only: taken from its owner, a handler may still hold it

 private:
  std::atomic<std::uint64_t> head_{0};  // words ever committed
  std::atomic<std::uint64_t> tail_{0};  // words ever consumed
  std::uint64_t reserved_at_ = 0;  // producer only: where the reservation starts, padding excluded
  std::atomic<std::uint64_t> lost_{0};
  std::atomic<std::uint64_t> lost_since_ns_{0};

 public:
  static constexpr std::uint32_t kHeaderBytes = 64;
  static constexpr std::uint32_t kWords = (kBytes - sizeof(ThreadRules) - kHeaderBytes) / 8;

  ThreadRules rules;  // the handler's; holds for any thread, so Reset keeps it

 private:
  std::uint64_t words_[kWords];
};
static_assert(sizeof(Ring) == Ring::kBytes && Ring::kBytes % 64 == 0, "a pool slot");

// The rings of a process: a fixed region, pages touched only when used. Take is lock-free, because
// a handler that finds its thread without a ring helps itself.
class RingPool {
 public:
  // `memory`: `count` slots of Ring::kBytes, zero-filled. Not async-signal-safe.
  void Init(void* memory, std::uint32_t count) noexcept;
  // Async-signal-safe. nullptr: all in use, or too much contention.
  Ring* Take() noexcept;
  // REQUIRES: empty, no producer. Collector only.
  void Give(Ring* ring) noexcept;

  std::uint32_t count() const noexcept { return count_; }
  Ring* at(std::uint32_t index) const noexcept {
    return reinterpret_cast<Ring*>(memory_ + std::size_t{index} * Ring::kBytes);
  }
  // Rings below this index have been used at some time.
  std::uint32_t high_water() const noexcept { return high_water_.load(std::memory_order_acquire); }

 private:
  char* memory_ = nullptr;
  std::uint32_t count_ = 0;
  std::atomic<std::uint32_t> high_water_{0};
  std::atomic<std::uint64_t> free_{
      0};  // version << 32 | index + 1 of the first free ring that was used before
};

}  // namespace pprof::handler
