// Starts spans through the tracer of the wrapped provider and gives each its labels. Made by
// tracer_provider.h. Holds the tracer inside, not the provider.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/trace/tracer.h>

#include <otelpyroscope/namespace.h>
#include <otelpyroscope/options.h>
#include <otelpyroscope/parent.h>
#include <otelpyroscope/span.h>
#include <otelpyroscope/span_labels.h>

namespace otelpyroscope {
inline namespace v1 {
namespace internal {

// Returns `span` itself when it is null or has no valid ids: attaching that means no labels. Not
// async-signal-safe.
inline nostd::shared_ptr<trace::Span> WrapSpan(nostd::shared_ptr<trace::Span> span,
                                               std::string_view name,
                                               const trace::StartSpanOptions& start,
                                               const Options& options) noexcept {
  if (span.get() == nullptr) return span;
  SpanLabels labels;
  {
    const trace::SpanContext ids = span->GetContext();
    if (!ids.IsValid()) return span;
    context::ContextValue holder;
    labels = DescribeSpan(*span, ids, name, FindParent(start, &holder), options);
  }
  const bool if_profiled = options.profile_id_attribute == ProfileIdAttribute::kIfProfiled;
  if (labels.owns_id && !if_profiled) SetProfileId(*span, labels.context);
  return nostd::shared_ptr<trace::Span>(std::shared_ptr<trace::Span>(
      std::make_shared<ProfiledSpan>(std::move(span), labels, if_profiled)));
}

class OTELPYROSCOPE_SHARED ProfiledTracer final : public trace::Tracer {
 public:
  ProfiledTracer(nostd::shared_ptr<trace::Tracer> inner, const Options& options) noexcept
      : inner_(std::move(inner)), options_(options) {}

  nostd::shared_ptr<trace::Span> StartSpan(
      nostd::string_view name, const common::KeyValueIterable& attributes,
      const trace::SpanContextKeyValueIterable& links,
      const trace::StartSpanOptions& options) noexcept override {
    return WrapSpan(inner_->StartSpan(name, attributes, links, options),
                    std::string_view(name.data(), name.size()), options, options_);
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
