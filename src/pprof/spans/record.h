// A span's record and the way of ended ones to the watch: a lock-free stack that every ending span
// pushes to and one reader empties. All memory of records is counted against one limit.
#pragma once

#include <pprof/span_record.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pprof::spans {

// Written by its span's threads until it is ended, constant after that.
struct Record final : SpanRecord {
  std::uint8_t trace_id[16];
  std::uint8_t span_id[8];
  std::uint8_t parent_id[8];
  std::uint8_t label_span_id[8];
  std::int64_t system_ns;  // 0 until the reader computes it
  std::int64_t steady_ns;
  std::int64_t duration_ns;
  Record* next;  // in the stack of ended ones
  char* name;    // behind this object, or its own allocation
  char* attributes;
  std::uint32_t allocated;  // bytes of this object with what is behind it
  std::uint16_t name_room, name_size;
  std::uint16_t attributes_room, attributes_size;
  std::uint8_t attribute_count;
  std::uint8_t sampled, local_root;
  SpanStatus status;
  std::uint32_t operation;  // the reader's
  std::atomic<std::uint32_t> references;
  std::atomic<bool> ended;
  std::atomic_flag busy;

  std::string_view Name() const noexcept { return {name, name_size}; }
  bool Failed() const noexcept { return status == SpanStatus::kError; }
  std::size_t Bytes() const noexcept;

  // Calls f(key, value) for each attribute.
  template <class F>
  void ForEachAttribute(F&& f) const {
    const char* at = attributes;
    for (int i = 0; i < attribute_count; ++i) {
      const std::size_t key = static_cast<unsigned char>(at[0]);
      const std::size_t value = static_cast<unsigned char>(at[1]);
      f(std::string_view(at + 2, key), std::string_view(at + 2 + key, value));
      at += 2 + key + value;
    }
  }
};

// Gives back one reference. Any thread.
void Unref(Record* record) noexcept;

// Spans are recorded from now on, in at most `limit` bytes.
void Want(std::int64_t limit) noexcept;
// No span is recorded from now on; those that are waiting are forgotten.
void StopWanting() noexcept;

// All records that ended since the last call, the newest first, chained by `next`, each with a
// reference. One thread at a time.
Record* TakeEnded() noexcept;

// Bytes of records, and of what else was added to them.
std::int64_t BytesUsed() noexcept;
std::int64_t BytesLimit() noexcept;
void AddBytes(std::int64_t bytes) noexcept;
// Spans that were not recorded: no memory, or the limit was reached.
std::uint64_t NotRecorded() noexcept;

}  // namespace pprof::spans
