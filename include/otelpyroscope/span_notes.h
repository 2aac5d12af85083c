// What the page of spans (pprof/span_watch.h) is told about a span. All of it runs only while
// somebody watches spans. Used by tracer.h and span.h.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>

#include <opentelemetry/common/attribute_value.h>
#include <opentelemetry/common/key_value_iterable.h>
#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/nostd/string_view.h>
#include <opentelemetry/nostd/variant.h>
#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/span_metadata.h>
#include <opentelemetry/trace/span_startoptions.h>

#include <otelpyroscope/namespace.h>
#include <otelpyroscope/span_labels.h>
#include <pprof/span_record.h>

namespace otelpyroscope {
inline namespace v1 {
namespace internal {

inline std::string_view AsText(nostd::string_view text) noexcept {
  return {text.data(), text.size()};
}

// Text, numbers and truth values; lists are left out.
[[gnu::noinline]] inline void NoteAttribute(pprof::SpanRecord& record, nostd::string_view key,
                                            const common::AttributeValue& value) noexcept {
  char digits[32];
  int size = 0;
  std::string_view text;
  if (const auto* view = nostd::get_if<nostd::string_view>(&value)) {
    text = AsText(*view);
  } else if (const auto* literal = nostd::get_if<const char*>(&value)) {
    text = *literal != nullptr ? std::string_view(*literal) : std::string_view();
  } else if (const auto* truth = nostd::get_if<bool>(&value)) {
    text = *truth ? "true" : "false";
  } else if (const auto* i32 = nostd::get_if<std::int32_t>(&value)) {
    size = std::snprintf(digits, sizeof(digits), "%d", static_cast<int>(*i32));
  } else if (const auto* i64 = nostd::get_if<std::int64_t>(&value)) {
    size = std::snprintf(digits, sizeof(digits), "%lld", static_cast<long long>(*i64));
  } else if (const auto* u32 = nostd::get_if<std::uint32_t>(&value)) {
    size = std::snprintf(digits, sizeof(digits), "%u", static_cast<unsigned>(*u32));
  } else if (const auto* u64 = nostd::get_if<std::uint64_t>(&value)) {
    size = std::snprintf(digits, sizeof(digits), "%llu", static_cast<unsigned long long>(*u64));
  } else if (const auto* real = nostd::get_if<double>(&value)) {
    size = std::snprintf(digits, sizeof(digits), "%.9g", *real);
  } else {
    return;
  }
  if (size > 0) text = std::string_view(digits, static_cast<std::size_t>(size));
  record.SetAttribute(AsText(key), text);
}

inline void NoteStatus(pprof::SpanRecord& record, trace::StatusCode code) noexcept {
  record.SetStatus(code == trace::StatusCode::kError ? pprof::SpanStatus::kError
                   : code == trace::StatusCode::kOk  ? pprof::SpanStatus::kOk
                                                     : pprof::SpanStatus::kUnset);
}

inline void NoteParent(const trace::SpanContext& parent, pprof::SpanStart& start) noexcept {
  if (!parent.IsValid() ||
      std::memcmp(parent.trace_id().Id().data(), start.trace_id, sizeof(start.trace_id)) != 0) {
    return;
  }
  std::memcpy(start.parent_id, parent.span_id().Id().data(), sizeof(start.parent_id));
}

inline void NoteParentIn(const context::Context& context, pprof::SpanStart& start) noexcept {
  const context::ContextValue value = context.GetValue(trace::kSpanKey);
  const auto* span = nostd::get_if<nostd::shared_ptr<trace::Span>>(&value);
  if (span != nullptr && span->get() != nullptr) NoteParent((*span)->GetContext(), start);
}

// Of a span that has no parent of ours: a remote one, most likely. `in_context`: whether anything
// is current on this thread.
inline void NoteOtherParent(const trace::StartSpanOptions& options, bool in_context,
                            pprof::SpanStart& start) noexcept {
  if (const auto* ids = nostd::get_if<trace::SpanContext>(&options.parent)) {
    if (ids->IsValid()) return NoteParent(*ids, start);
  } else if (const auto* context = nostd::get_if<context::Context>(&options.parent)) {
    return NoteParentIn(*context, start);
  }
  if (in_context) NoteParentIn(context::RuntimeContext::GetCurrent(), start);
}

// nullptr without memory. `labels`: the span's own; `parent`: those of its parent in this process,
// or nullptr.
[[gnu::noinline]] inline pprof::SpanRecord* NoteStart(
    const pprof::TraceContext& labels, const pprof::TraceContext* parent, bool sampled,
    bool in_context, std::string_view name, const common::KeyValueIterable& attributes,
    const trace::StartSpanOptions& options) noexcept {
  pprof::SpanStart start;
  std::memcpy(start.trace_id, labels.trace_id, sizeof(start.trace_id));
  std::memcpy(start.span_id, labels.span_id, sizeof(start.span_id));
  if ((labels.labels & pprof::kSpanIdLabel) != 0) {
    std::memcpy(start.label_span_id, labels.label_span_id, sizeof(start.label_span_id));
  }
  if (parent != nullptr) {
    std::memcpy(start.parent_id, parent->span_id, sizeof(start.parent_id));
  } else {
    NoteOtherParent(options, in_context, start);
  }
  start.sampled = sampled;
  start.local_root = parent == nullptr;
  start.name = name;
  start.system_ns = options.start_system_time.time_since_epoch().count();
  start.steady_ns = options.start_steady_time.time_since_epoch().count();
  pprof::SpanRecord* const record = pprof::SpanRecord::Start(start);
  if (record == nullptr) return nullptr;
  attributes.ForEachKeyValue(
      [record](nostd::string_view key, common::AttributeValue value) noexcept {
        NoteAttribute(*record, key, value);
        return true;
      });
  return record;
}

}  // namespace internal
}  // namespace v1
}  // namespace otelpyroscope
