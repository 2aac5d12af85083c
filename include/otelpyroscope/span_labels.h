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

inline bool SameTrace(const pprof::TraceContext& a, const pprof::TraceContext& b) noexcept {
  return std::memcmp(a.trace_id, b.trace_id, sizeof(a.trace_id)) == 0;
}

inline bool HasIds(const pprof::TraceContext& context, const trace::SpanContext& ids) noexcept {
  return std::memcmp(context.span_id, ids.span_id().Id().data(), sizeof(context.span_id)) == 0 &&
         std::memcmp(context.trace_id, ids.trace_id().Id().data(), sizeof(context.trace_id)) == 0;
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

// A finished record, and what its span must do later.
struct SpanLabels {
  pprof::TraceContext context{};     // with a reference to `name` and to `id` if they are others'
  pprof::SpanState* home = nullptr;  // this span's own, one reference; nullptr: it needs none
  bool owns_name = false;            // a new name of the span is a new name in the labels
  bool owns_id = false;              // the span is sampled and its id is a label: it has a profile
};

inline pprof::SpanState* WithReference(pprof::SpanState* state) noexcept {
  if (state != nullptr) state->Ref();
  return state;
}

// Gives back all references but `home`.
inline void Release(const SpanLabels& labels) noexcept {
  pprof::SpanState* const name = labels.context.name;
  pprof::SpanState* const id = labels.context.id;
  if (name != nullptr && name != labels.home) name->Unref();
  if (id != nullptr && id != labels.home) id->Unref();
}

// Whose name the labels carry, and who is told when a sample carries the id: needed only where an
// attribute depends on it.
inline void SetStates(std::string_view name, std::size_t room, const pprof::TraceContext* parent,
                      bool own_id, const Options& options, SpanLabels& labels) noexcept {
  const bool names = options.span_name_label_scope != Scope::kNone;
  const bool all_names = options.span_name_label_scope == Scope::kAllSpans;
  const bool if_profiled = options.profile_id_attribute == ProfileIdAttribute::kIfProfiled;
  labels.owns_name = names && (parent == nullptr || all_names);
  if (labels.owns_name || (labels.owns_id && if_profiled)) {
    labels.home = pprof::SpanState::Create(name, room);
    if (labels.home == nullptr) pprof::CountDroppedLabels();
  }
  if (names) labels.context.name = labels.owns_name ? labels.home : WithReference(parent->name);
  if (!if_profiled) return;
  if (!own_id) {
    labels.context.id = WithReference(parent->id);
  } else if (labels.owns_id) {
    labels.context.id = labels.home;
  }
}

// `parent`: the labels of the parent if that is a span of this process, else nullptr. A parent of
// another trace is none. `room`: of the state if one is made. Any thread. Not async-signal-safe.
inline SpanLabels DescribeSpan(const trace::Span& span, const trace::SpanContext& ids,
                               std::string_view name, std::size_t room,
                               const pprof::TraceContext* parent, const Options& options) noexcept {
  SpanLabels labels;
  pprof::TraceContext& context = labels.context;
  SetIds(ids, context);
  if (parent != nullptr && !SameTrace(*parent, context)) parent = nullptr;
  const bool all_ids = options.span_id_label_scope == Scope::kAllSpans;
  const bool all_names = options.span_name_label_scope == Scope::kAllSpans;
  context.reserved[0] =
      static_cast<std::uint8_t>(kLocal | (all_ids ? kOwnIds : 0) | (all_names ? kOwnNames : 0));

  const bool own_id = parent == nullptr || all_ids;
  std::memcpy(context.label_span_id, own_id ? ids.span_id().Id().data() : parent->label_span_id,
              sizeof(context.label_span_id));
  // A span that is not sampled still runs under its sampled root, whose profile includes it.
  const bool sampled = IsSampled(span, ids);
  const std::uint8_t outer = own_id ? std::uint8_t{0} : parent->labels;
  context.labels =
      sampled ? AllowedLabels(options) : static_cast<std::uint8_t>(outer & AllowedLabels(options));
  labels.owns_id = own_id && sampled && options.span_id_label_scope != Scope::kNone;
  SetStates(name, room, parent, own_id, options, labels);
  return labels;
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
