// The trace context of a thread: what the profiler puts on a sample as span_id, trace_id and
// span_name. Written by tracing bridges (otelpyroscope is one), read by the signal handler.
// Applications use labels.h instead.
//
// A bridge makes one TraceContext a span, keeps it unchanged while it is pushed anywhere, and
// pushes a pointer to it when the span becomes current on a thread. Publishing is one pointer
// store, so a sample sees the old context or the new one and never a mixture. Only the owning
// thread pushes and pops; the reader is a signal handler on that thread.
//
// The first 28 bytes of a TraceContext are a thread context record as in OTEP 4947 (schema
// otel_thread_ctx_v1: opentelemetry-specification, oteps/profiles/4947-thread-ctx.md), so that
// external readers can use the same bytes later; no symbol is exported for them yet.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <pprof/export.h>

namespace pprof {

// Longer span names are cut here, at a UTF-8 boundary (255 is also OTEP 4947's limit for a value).
inline constexpr std::size_t kMaxSpanNameBytes = 255;

// A span that is renamed more often than this keeps the last of these names on its samples: old
// names stay until the span is gone, since a signal handler may be reading them.
inline constexpr std::uint32_t kMaxSpanNames = 64;

// One immutable version of a span's name.
struct SpanName {
  std::uint32_t size;
  std::uint32_t number;   // how many are older
  const char* text;       // `size` bytes, not terminated
  const SpanName* older;  // freed together with the SpanState
};

// What outlives a span's object for as long as somebody may put its labels on samples: its name,
// which may change, and whether a sample carried its id. Reference-counted by hand, because the
// signal handler sees it through a raw pointer. All functions: any thread. Not async-signal-safe,
// but for the handler's two accesses.
class PPROF_EXPORT SpanState {
 public:
  // One reference, held by the caller. nullptr when there is no memory. `room`: bytes that the
  // caller wants for itself in the same allocation, freed with this object.
  static SpanState* Create(std::string_view name, std::size_t room = 0) noexcept;
  SpanState(const SpanState&) = delete;
  SpanState& operator=(const SpanState&) = delete;

  void Ref() noexcept;
  void Unref() noexcept;

  // The caller's bytes, aligned for any type.
  void* room() noexcept;

  // Seen by the samples of every thread from now on. Without memory, and after kMaxSpanNames, the
  // old name stays (counted in Stats::labels_dropped).
  void SetName(std::string_view name) noexcept;
  // Lives as long as this object. Async-signal-safe.
  const SpanName* name() const noexcept { return name_.load(std::memory_order_acquire); }

  // True once a sample that carries this span's id is stored. Async-signal-safe.
  bool sampled() const noexcept { return sampled_.load(std::memory_order_relaxed); }
  void MarkSampled() noexcept { sampled_.store(true, std::memory_order_relaxed); }

 private:
  SpanState() noexcept = default;
  ~SpanState() = default;
  void Free() noexcept;

  std::atomic<std::uint32_t> references_{1};
  std::atomic<bool> sampled_{false};
  std::atomic<const SpanName*> name_{nullptr};
};

// Which labels a sample gets from a TraceContext.
enum TraceLabels : std::uint8_t {
  kNoTraceLabels = 0,
  kSpanIdLabel = 1,   // span_id = label_span_id, 16 hex digits
  kTraceIdLabel = 2,  // trace_id, 32 hex digits
};

struct TraceContext {
  // OTEP 4947 head. Ids in W3C byte order; all zero when there is none.
  std::uint8_t trace_id[16];
  std::uint8_t span_id[8];  // of the active span, whatever the labels say
  std::uint8_t valid;       // 1 when readable
  std::uint8_t trace_flags;
  std::uint16_t attrs_data_size;  // 0: no attributes follow
  // Ours from here on.
  std::uint8_t labels;  // TraceLabels
  std::uint8_t reserved[3];
  std::uint8_t label_span_id[8];  // the local root's, or the span's own
  SpanState* name;                // its name is the label span_name; nullptr: no such label
  SpanState* id;  // owner of label_span_id, told when a sample carried it; may be nullptr
};
static_assert(offsetof(TraceContext, span_id) == 16 && offsetof(TraceContext, valid) == 24,
              "OTEP 4947 layout");
static_assert(offsetof(TraceContext, trace_flags) == 25 &&
                  offsetof(TraceContext, attrs_data_size) == 26,
              "OTEP 4947");
static_assert(offsetof(TraceContext, labels) == 28 && sizeof(TraceContext) == 56,
              "shared with the compiled library");

inline void* SpanState::room() noexcept {
  static_assert(sizeof(SpanState) % alignof(std::max_align_t) == 0, "aligned for any type");
  return this + 1;
}

// Names one push. 0: nothing was pushed (no memory, or too many threads; counted in
// Stats::labels_dropped); popping it does nothing.
using TraceToken = std::uint64_t;

// Makes `*context` the trace context of the calling thread; nullptr: samples carry no trace labels.
// `*context` and the SpanStates that it names must live until the token is popped. Registers the
// thread. Not async-signal-safe.
PPROF_EXPORT TraceToken PushTraceContext(const TraceContext* context) noexcept;
// The same with a copy, which takes its own references to the SpanStates and belongs to the
// thread's stack.
PPROF_EXPORT TraceToken PushTraceContextCopy(const TraceContext& context) noexcept;

// Takes one push back, wherever it stands in the calling thread's stack; what is then on top is
// current. Returns false when the token is not in this thread's stack (pushed by another thread,
// popped before): nothing happens. Not async-signal-safe.
PPROF_EXPORT bool PopTraceContext(TraceToken token) noexcept;

// For a scope object that is destroyed on a thread that did not push: counts
// Stats::scopes_misplaced, and the thread that pushed takes the context away at its next label
// operation.
PPROF_EXPORT void AbandonTraceContext(TraceToken token) noexcept;

// The calling thread's current context, nullptr when there is none. Valid until the next push or
// pop. Never registers.
PPROF_EXPORT const TraceContext* CurrentTraceContext() noexcept;

// For a bridge: counts Stats::labels_dropped (a push that returns 0 counts itself),
// Stats::scopes_misplaced and Stats::context_storage_lost.
PPROF_EXPORT void CountDroppedLabels() noexcept;
PPROF_EXPORT void CountMisplacedScope() noexcept;
PPROF_EXPORT void CountLostContextStorage() noexcept;
// For a bridge: one line through the log handler. `once` names the kind of problem: a static string
// of its own for each kind; only the first line of a kind is spoken.
PPROF_EXPORT void LogWarningOnce(const char* once, std::string_view line) noexcept;

}  // namespace pprof
