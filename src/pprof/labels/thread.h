// The calling thread as labels/ and sampler/ see it: its record, which the handler reads, and its
// stacks of scopes, which only the thread itself uses.
#pragma once

#include <pprof/trace_context.h>

#include <cstdint>

#include "src/pprof/handler/thread_record.h"
#include "src/pprof/labels/first_scope.h"
#include "src/pprof/labels/layer_stack.h"

namespace pprof::internal {
struct LabelData;
}

namespace pprof::labels {

// One push of a trace context.
struct TraceLayer {
  const TraceContext* context;  // nullptr: no trace labels
  TraceToken token;
  std::uint8_t flags;     // 0: popping it needs no more than publishing what is below
  std::uint32_t covered;  // pushes right above it that found no memory: then it is not current

  static constexpr std::uint8_t kOwned = 1;  // made by PushTraceContextCopy
  static constexpr std::uint8_t kFirst = 2;  // the thread's first scope
};

// One LabelScope.
struct LabelLayer {
  const internal::LabelData* own;        // what the scope brings; one reference or `slot`
  const internal::LabelData* effective;  // with the outer labels below it; nullptr: none
  std::uint64_t token;
  int slot;  // of the merge cache that keeps both alive; -1: this layer holds a reference to each
  bool replace;  // a snapshot: outer labels do not shine through
};

// Remembers the merge of two sets, so that a scope with a prebuilt set costs no atomic operation
// and no allocation.
struct MergeSlot {
  const internal::LabelData* outer = nullptr;  // a reference each, held while the slot is filled
  const internal::LabelData* inner = nullptr;
  const internal::LabelData* merged = nullptr;
  std::uint32_t uses = 0;  // layers that rely on this slot
};

struct ThreadState {
  static constexpr int kMergeSlots = 8;

  handler::ThreadRecord* record = nullptr;
  LayerStack<TraceLayer> trace_layers;
  TraceToken tokens_before = 0;  // the record's last token when this thread took it
  LayerStack<LabelLayer> label_layers;
  MergeSlot merges[kMergeSlots];
  std::uint32_t abandoned_known = 0;  // value of g_abandoned when this thread last looked
  // The same, or one less while the first scope is awaited or open: then every push looks.
  std::uint32_t abandoned_seen = 0;
  FirstScope first;
};

extern __thread ThreadState* t_state;

// Makes fork and the ends of threads known to this folder; once a process, also without any label.
// May throw std::system_error.
void InstallThreadHooks();

// Registers the calling thread. nullptr: no memory, or too many threads (counted).
ThreadState* RegisterThread() noexcept;

// The calling thread's state, made on first use. Not async-signal-safe.
inline ThreadState* CurrentThread() noexcept {
  ThreadState* state = t_state;
  return __builtin_expect(state != nullptr, 1) ? state : RegisterThread();
}

// Scopes that were destroyed on another thread. The owner of the labels takes them away at its next
// operation, so that they do not outlive their scope for long; nobody else may touch a thread's
// stacks.
extern std::atomic<std::uint32_t> g_abandoned;  // changes with every such scope
void Abandon(std::uint64_t token) noexcept;
void DropAbandoned(ThreadState& thread) noexcept;
inline bool MustLook(const ThreadState& thread) noexcept {
  return __builtin_expect(g_abandoned.load(std::memory_order_relaxed) != thread.abandoned_seen, 0);
}
inline void CheckAbandoned(ThreadState& thread) noexcept {
  if (MustLook(thread)) DropAbandoned(thread);
}
inline void SeeAbandoned(ThreadState& thread) noexcept {
  const bool looking = thread.first.state != FirstScope::State::kNone;
  thread.abandoned_seen = thread.abandoned_known - (looking ? 1 : 0);
}
// Takes one LabelScope's layer away. False: not in this thread's stack. Defined by labels.cc.
bool PopLabels(ThreadState& thread, std::uint64_t token) noexcept;

// Releases what the layers of an ending thread hold. Defined by labels.cc.
void ReleaseLayers(ThreadState& state) noexcept;

// Counters of <pprof/stats.h> that this folder adds to.
struct LabelCounters {
  std::atomic<std::uint64_t> labels_dropped, scopes_misplaced, context_storage_lost;
  std::atomic<std::uint64_t> threads_registered, threads_over_limit;
};
extern LabelCounters g_label_counters;

}  // namespace pprof::labels
