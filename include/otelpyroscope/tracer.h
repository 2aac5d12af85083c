// Starts spans through the tracer of the wrapped provider and gives each its labels. Made by
// tracer_provider.h. Holds the tracer inside, not the provider.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/trace/tracer.h>

#include <otelpyroscope/context_stack.h>
#include <otelpyroscope/make_shared.h>
#include <otelpyroscope/namespace.h>
#include <otelpyroscope/options.h>
#include <otelpyroscope/parent.h>
#include <otelpyroscope/span.h>
#include <otelpyroscope/span_labels.h>

namespace otelpyroscope {
inline namespace v1 {
namespace internal {

// nullptr without memory: `span` is then untouched.
inline std::shared_ptr<trace::Span> MakeSpan(nostd::shared_ptr<trace::Span>& span,
                                             const SpanLabels& labels,
                                             const Options& options) noexcept {
  const bool if_profiled = options.profile_id_attribute == ProfileIdAttribute::kIfProfiled;
  if (labels.home != nullptr) {
    return MakeSharedIn<ProfiledSpan>(*labels.home, std::move(span), labels, if_profiled);
  }
  return MakeShared<ProfiledSpan>(std::move(span), labels, if_profiled);
}

// Returns `span` itself when it is null or has no valid ids (attaching that means no labels), and
// without memory (it is then labelled as a span that is not ours). Not async-signal-safe.
inline nostd::shared_ptr<trace::Span> WrapSpan(nostd::shared_ptr<trace::Span> span,
                                               std::string_view name, bool asked_us,
                                               const trace::StartSpanOptions& start,
                                               const Options& options) noexcept {
  trace::Span* const inner = span.get();
  if (inner == nullptr) return span;
  const trace::SpanContext ids = inner->GetContext();
  if (!ids.IsValid()) return span;
  context::ContextValue holder;
  const pprof::TraceContext* parent = FindParent(start, asked_us, &holder);
  const SpanLabels labels =
      DescribeSpan(*inner, ids, name, kRoomFor<ProfiledSpan>, parent, options);
  if (labels.owns_id && options.profile_id_attribute == ProfileIdAttribute::kAlways) {
    SetProfileId(*inner, labels.context);
  }
  std::shared_ptr<trace::Span> wrapped = MakeSpan(span, labels, options);
  if (wrapped == nullptr) {
    Release(labels);
    pprof::CountDroppedLabels();
    return span;
  }
  return nostd::shared_ptr<trace::Span>(std::move(wrapped));
}

class OTELPYROSCOPE_SHARED ProfiledTracer final : public trace::Tracer {
 public:
  ProfiledTracer(nostd::shared_ptr<trace::Tracer> inner, const Options& options) noexcept
      : inner_(std::move(inner)), options_(options) {}

  nostd::shared_ptr<trace::Span> StartSpan(
      nostd::string_view name, const common::KeyValueIterable& attributes,
      const trace::SpanContextKeyValueIterable& links,
      const trace::StartSpanOptions& options) noexcept override {
    const ThreadContexts& thread = ThisThread();
    const std::uint32_t asked = thread.asked;
    nostd::shared_ptr<trace::Span> span = inner_->StartSpan(name, attributes, links, options);
    return WrapSpan(std::move(span), std::string_view(name.data(), name.size()),
                    thread.asked != asked, options, options_);
  }

#if OPENTELEMETRY_ABI_VERSION_NO == 1
  void ForceFlushWithMicroseconds(std::uint64_t timeout) noexcept override {
    inner_->ForceFlushWithMicroseconds(timeout);
  }
  void CloseWithMicroseconds(std::uint64_t timeout) noexcept override {
    inner_->CloseWithMicroseconds(timeout);
  }
#endif

 private:
  const nostd::shared_ptr<trace::Tracer> inner_;
  const Options options_;
};

}  // namespace internal
}  // namespace v1
}  // namespace otelpyroscope
