// The first scope of a thread that starts under a running profile. A thread that lives shorter than
// a period seldom sees its timer expire, so its one scope lies between two readings of the thread's
// CPU clock: what was measured there is its operation's. Later scopes of the thread cost nothing
// more, because all of this hangs on paths that are slow anyway.
#pragma once

#include <pprof/trace_context.h>

#include <cstdint>

namespace pprof::handler {
struct LabelBlob;
}

namespace pprof::labels {

struct ThreadState;

struct FirstScope {
  // kReady: the thread has not opened one yet. kNone: it is over, was given up, or none is wanted.
  enum class State : std::uint8_t { kNone, kReady, kOpen };

  State state = State::kNone;
  std::uint32_t epoch = 0;   // of the record's timer
  std::uint32_t looked = 0;  // pushes that took the slow path because of this
  std::uint64_t token = 0;   // of the scope; while kOpen
  std::int64_t cpu_ns = 0;   // of the thread when it began
  std::uint64_t delivered = 0;
  const SpanState* span = nullptr;  // whose name the samples carry; nullptr: none
  const SpanName* name = nullptr;   // as it was then
  const handler::LabelBlob* labels = nullptr;
};

// What was measured in a first scope. Valid during the call that hands it over.
struct ScopeCpu {
  std::int64_t cpu_ns;
  std::uint64_t delivered;  // weight that the timer delivered inside
  std::uint32_t epoch;
  const SpanName* name;              // nullptr: none
  const handler::LabelBlob* labels;  // nullptr: none
};

// All: the calling thread's own state. Not async-signal-safe. Nothing throws.

// A thread registered under a running profile.
void AwaitFirstScope(ThreadState& thread, std::uint32_t epoch) noexcept;
// Its labels are published under `token`, 0: without effect. Called while kReady.
void OpenFirstScope(ThreadState& thread, std::uint64_t token) noexcept;
// A trace context is about to be pushed inside. Nothing tells what of the time belongs to which
// operation: the scope is given up, unless the samples keep their span name.
void NestInFirstScope(ThreadState& thread, const TraceContext* context) noexcept;
void GiveUpFirstScope(ThreadState& thread) noexcept;
// If `token` is the first scope's: takes the labels of both kinds off the samples and hands over
// what was measured. The caller publishes what is current next. REQUIRES: what the scope published
// still lives.
void CloseFirstScope(ThreadState& thread, std::uint64_t token) noexcept;

}  // namespace pprof::labels
