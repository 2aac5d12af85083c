// Finished spans for the page of spans (span_watch.h): a tracing bridge notes each span while
// somebody wants them. Applications use span_watch.h instead.
//
// A bridge asks SpansWanted() when a span starts. Only if that says true it makes a SpanRecord,
// tells it what happens to the span, ends it with the span and releases it when the span's object
// goes.
#pragma once

#include <cstdint>
#include <string_view>

#include <pprof/export.h>

namespace pprof {

enum class SpanStatus : std::uint8_t { kUnset = 0, kOk = 1, kError = 2 };

// What is known of a span when it starts. Ids in W3C byte order; all zero: none.
struct SpanStart {
  std::uint8_t trace_id[16] = {};
  std::uint8_t span_id[8] = {};
  std::uint8_t parent_id[8] = {};
  std::uint8_t label_span_id[8] = {};  // what its samples carry as span_id
  bool sampled = false;
  bool local_root = false;     // no parent in this process
  std::string_view name;       // copied; cut at kMaxSpanNameBytes
  std::int64_t system_ns = 0;  // since the epoch; 0: computed from steady_ns
  std::int64_t steady_ns = 0;  // by the steady clock; 0: now
};

// One relaxed load behind a call. Any thread. Async-signal-safe.
PPROF_EXPORT bool SpansWanted() noexcept;

// One span, from its start until it is forgotten. All functions: any thread, several at once, but
// not after Release(). They never block: a change that finds the record busy with another one for
// long is left out. Not async-signal-safe.
class PPROF_EXPORT SpanRecord {
 public:
  // Attributes beyond these are left out, longer ones are cut.
  static constexpr int kMaxAttributes = 12;
  static constexpr int kMaxKeyBytes = 64;
  static constexpr int kMaxValueBytes = 200;

  // nullptr when spans are not wanted, and without memory or beyond the recorder's limit, which is
  // counted.
  static SpanRecord* Start(const SpanStart& start) noexcept;

  void SetName(std::string_view name) noexcept;
  void SetStatus(SpanStatus status) noexcept;  // the last one counts
  void SetAttribute(std::string_view key, std::string_view value) noexcept;
  // Hands the record over; changes after that have no effect, nor has a second end. `steady_ns`: 0
  // is now.
  void End(std::int64_t steady_ns = 0) noexcept;
  // Once, by whoever called Start, when nothing is told any more. Without End the span is
  // forgotten.
  void Release() noexcept;

 protected:
  SpanRecord() noexcept = default;
  ~SpanRecord() = default;
};

}  // namespace pprof
