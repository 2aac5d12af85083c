// What samples say about a span, decided once when the span starts: from the span's ids, its local
// parent and the options, a pprof::TraceContext. Used by tracer.h, by the context storage for spans
// that are not ours, and by SpanGuard. The rules are those of the Go package otel-profiling-go.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <opentelemetry/trace/span.h>
#include <opentelemetry/trace/span_context.h>

#include <otelpyroscope/namespace.h>
#include <otelpyroscope/options.h>
#include <pprof/trace_context.h>

namespace otelpyroscope {
inline namespace v1 {
namespace internal {

// The bridge's own notes in TraceContext::reserved[0].
enum ContextMark : std::uint8_t {
  kLocal = 1,     // made for a span of ours, or for a span that runs under one
  kOwnIds = 2,    // span ids are labelled span by span
  kOwnNames = 4,  // span names are labelled span by span
};

// The head of a record and nothing else.
inline void SetIds(const trace::SpanContext& from, pprof::TraceContext& to) noexcept {
  std::memcpy(to.trace_id, from.trace_id().Id().data(), sizeof(to.trace_id));
  std::memcpy(to.span_id, from.span_id().Id().data(), sizeof(to.span_id));
  to.valid = 1;
  to.trace_flags = from.trace_flags().flags();
}

inline bool InTrace(const pprof::TraceContext& context, const trace::SpanContext& ids) noexcept {
  return std::memcmp(context.trace_id, ids.trace_id().Id().data(), sizeof(context.trace_id)) == 0;
}
inline bool SameTrace(const pprof::TraceContext& a, const pprof::TraceContext& b) noexcept {
  return std::memcmp(a.trace_id, b.trace_id, sizeof(a.trace_id)) == 0;
}

inline bool HasIds(const pprof::TraceContext& context, const trace::SpanContext& ids) noexcept {
  return std::memcmp(context.span_id, ids.span_id().Id().data(), sizeof(context.span_id)) == 0 &&
         InTrace(context, ids);
}

// Both are needed: a dropped child may inherit the sampled flag (before 1.24), and a span that is
// recorded only is not exported.
inline bool IsSampled(const trace::Span& span, const trace::SpanContext& ids) noexcept {
  return ids.IsSampled() && span.IsRecording();
}

// Labels of sampled spans that are not ours: what the options of the last provider allow.
OTELPYROSCOPE_SHARED inline std::atomic<std::uint8_t>& LabelsOfOtherSpans() noexcept {
  static std::atomic<std::uint8_t> labels{pprof::kSpanIdLabel | pprof::kTraceIdLabel};
  return labels;
}

inline std::uint8_t AllowedLabels(const Options& options) noexcept {
  return static_cast<std::uint8_t>(
      (options.span_id_label_scope != Scope::kNone ? pprof::kSpanIdLabel : 0) |
      (options.trace_id_label ? pprof::kTraceIdLabel : 0));
}

// What a new span is among the spans around it.
struct SpanRole {
  const pprof::TraceContext* parent = nullptr;  // of the parent in this process and trace
  pprof::SpanState* home = nullptr;             // this span's own, one reference; may be nullptr
  std::uint8_t labels = 0;                      // pprof::TraceLabels
  bool own_id = true;                           // the span's own id is its label, not the root's
  bool owns_id = false;                         // and it is sampled: it has a profile
  bool owns_name = false;  // a new name of the span is a new name in the labels
  bool tells = false;      // an attribute depends on whether a sample carried the id
};

// `parent`: the labels of the parent if that is a span of this process, else nullptr. A parent of
// another trace is none. Any thread. Not async-signal-safe.
inline SpanRole RoleOf(const trace::Span& span, const trace::SpanContext& ids,
                       const pprof::TraceContext* parent, const Options& options) noexcept {
  SpanRole role;
  if (parent != nullptr && InTrace(*parent, ids)) role.parent = parent;
  const bool root = role.parent == nullptr;
  role.own_id = root || options.span_id_label_scope == Scope::kAllSpans;
  // A span that is not sampled still runs under its sampled root, whose profile includes it. Where
  // that gives all labels the span, which would lock itself, is not asked.
  const std::uint8_t allowed = AllowedLabels(options);
  role.labels = allowed & (role.own_id ? std::uint8_t{0} : parent->labels);
  if (role.own_id || role.labels != allowed) {
    const bool sampled = IsSampled(span, ids);
    if (sampled) role.labels = allowed;
    role.owns_id = role.own_id && sampled && options.span_id_label_scope != Scope::kNone;
  }
  role.owns_name = root ? options.span_name_label_scope != Scope::kNone
                        : options.span_name_label_scope == Scope::kAllSpans;
  role.tells = options.profile_id_attribute == ProfileIdAttribute::kIfProfiled;
  return role;
}

// Makes the state that the span needs for itself, with `room` bytes for the caller. Without memory
// there is none: then the name is missing.
inline void MakeHome(std::string_view name, std::size_t room, SpanRole& role) noexcept {
  if (!role.owns_name && !(role.owns_id && role.tells)) return;
  role.home = pprof::SpanState::Create(name, room);
  if (role.home == nullptr) pprof::CountDroppedLabels();
}

inline pprof::SpanState* WithReference(pprof::SpanState* state) noexcept {
  if (state != nullptr) state->Ref();
  return state;
}

// The finished record. Holds a reference to `name` and one to `id`, but not to `role.home`.
inline pprof::TraceContext DescribeSpan(const trace::SpanContext& ids, const SpanRole& role,
                                        const Options& options) noexcept {
  pprof::TraceContext context{};
  SetIds(ids, context);
  const pprof::TraceContext* const parent = role.parent;
  context.reserved[0] = static_cast<std::uint8_t>(
      kLocal | (options.span_id_label_scope == Scope::kAllSpans ? kOwnIds : 0) |
      (options.span_name_label_scope == Scope::kAllSpans ? kOwnNames : 0));
  std::memcpy(context.label_span_id,
              role.own_id ? ids.span_id().Id().data() : parent->label_span_id,
              sizeof(context.label_span_id));
  context.labels = role.labels;
  if (role.owns_name) {
    context.name = role.home;
  } else if (parent != nullptr && options.span_name_label_scope != Scope::kNone) {
    context.name = WithReference(parent->name);
  }
  if (role.tells && !role.own_id) {
    context.id = WithReference(parent->id);
  } else if (role.tells && role.owns_id) {
    context.id = role.home;
  }
  return context;
}

// Gives back what DescribeSpan took.
inline void Release(const pprof::TraceContext& context, const pprof::SpanState* home) noexcept {
  if (context.name != nullptr && context.name != home) context.name->Unref();
  if (context.id != nullptr && context.id != home) context.id->Unref();
}

// Labels of a span that is not ours, on the calling thread, over what is current there. Under a
// span of ours in the same trace the labels of that one stay. Returns false when there shall be
// none: no valid ids, a caller in another process, or not sampled. Takes no references; `*context`
// is good until the calling thread's next push or pop. Not async-signal-safe.
inline bool DescribeOtherSpan(const trace::Span& span, pprof::TraceContext* context) noexcept {
  const trace::SpanContext ids = span.GetContext();
  if (!ids.IsValid() || ids.IsRemote()) return false;
  const pprof::TraceContext* current = pprof::CurrentTraceContext();
  if (current != nullptr && HasIds(*current, ids)) {
    *context = *current;
    return true;
  }
  pprof::TraceContext own{};
  SetIds(ids, own);
  std::memcpy(own.label_span_id, own.span_id, sizeof(own.label_span_id));
  own.labels =
      IsSampled(span, ids) ? LabelsOfOtherSpans().load(std::memory_order_relaxed) : std::uint8_t{0};
  if (current == nullptr || !SameTrace(*current, own)) {
    *context = own;
    return own.labels != 0;
  }
  *context = *current;
  SetIds(ids, *context);
  if ((current->reserved[0] & kOwnIds) != 0) {
    std::memcpy(context->label_span_id, own.label_span_id, sizeof(own.label_span_id));
    context->labels = own.labels;
    context->id = nullptr;
  }
  if ((current->reserved[0] & kOwnNames) != 0) context->name = nullptr;
  return true;
}

}  // namespace internal
}  // namespace v1
}  // namespace otelpyroscope
