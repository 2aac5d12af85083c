// Labels for code that never makes its spans current (no trace::Scope), such as callbacks that pass
// parents on explicitly:
//
//   otelpyroscope::SpanGuard guard(span);
//   Work();  // samples carry the span's labels
#pragma once

#include <cstddef>

#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/trace/span.h>

#include <otelpyroscope/namespace.h>
#include <otelpyroscope/span.h>
#include <otelpyroscope/span_labels.h>
#include <pprof/trace_context.h>

namespace otelpyroscope {
inline namespace v1 {

// Labels the calling thread until destroyed, then restores what was there. Neither makes the span
// current nor ends it, and copies what it needs. For a null or invalid span: no trace labels. For
// the stack only; destroyed on another thread it has no effect there and is counted
// (Stats::scopes_misplaced). Not async-signal-safe.
class SpanGuard {
 public:
  explicit SpanGuard(const nostd::shared_ptr<trace::Span>& span) noexcept
      : token_(Push(span.get())) {}
  ~SpanGuard() {
    if (token_ != 0 && !pprof::PopTraceContext(token_)) pprof::AbandonTraceContext(token_);
  }
  SpanGuard(const SpanGuard&) = delete;
  SpanGuard& operator=(const SpanGuard&) = delete;

 private:
  static void* operator new(std::size_t) = delete;

  static pprof::TraceToken Push(const trace::Span* span) noexcept {
    if (const internal::ProfiledSpan* ours = internal::AsOurs(span)) {
      return pprof::PushTraceContextCopy(ours->labels());
    }
    pprof::TraceContext other;
    if (span != nullptr && internal::DescribeOtherSpan(*span, &other)) {
      return pprof::PushTraceContextCopy(other);
    }
    return pprof::PushTraceContext(nullptr);
  }

  pprof::TraceToken token_;
};

}  // namespace v1
}  // namespace otelpyroscope
