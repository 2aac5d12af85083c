// The wrapped TracerProvider: gives out tracers whose spans label samples. Made by
// NewTracerProvider.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/trace/tracer_provider.h>

#include <otelpyroscope/make_shared.h>
#include <otelpyroscope/namespace.h>
#include <otelpyroscope/options.h>
#include <otelpyroscope/span.h>
#include <otelpyroscope/span_labels.h>
#include <otelpyroscope/tracer.h>
#include <pprof/trace_context.h>

namespace otelpyroscope {
inline namespace v1 {
namespace internal {

// Any thread, as the provider inside. Not async-signal-safe.
class OTELPYROSCOPE_SHARED ProfiledTracerProvider final : public trace::TracerProvider {
 public:
  ProfiledTracerProvider(nostd::shared_ptr<trace::TracerProvider> inner,
                         const Options& options) noexcept
      : inner_(std::move(inner)), options_(options) {}

  const nostd::shared_ptr<trace::TracerProvider>& inner() const noexcept { return inner_; }

#if OPENTELEMETRY_ABI_VERSION_NO >= 2
  nostd::shared_ptr<trace::Tracer> GetTracer(
      nostd::string_view name, nostd::string_view version, nostd::string_view schema_url,
      const common::KeyValueIterable* attributes) noexcept override {
    return Wrap(inner_->GetTracer(name, version, schema_url, attributes));
  }
#else
  nostd::shared_ptr<trace::Tracer> GetTracer(nostd::string_view name, nostd::string_view version,
                                             nostd::string_view schema_url) noexcept override {
    return Wrap(inner_->GetTracer(name, version, schema_url));
  }
#endif

 private:
  nostd::shared_ptr<trace::Tracer> Wrap(nostd::shared_ptr<trace::Tracer> tracer) const noexcept {
    if (tracer.get() == nullptr) return tracer;
    std::shared_ptr<trace::Tracer> wrapped =
        MakeShared<ProfiledTracer>(std::move(tracer), options_);
    if (wrapped != nullptr) return nostd::shared_ptr<trace::Tracer>(std::move(wrapped));
    pprof::CountDroppedLabels();
    return tracer;  // NOLINT(bugprone-use-after-move): moved only where there was memory
  }

  const nostd::shared_ptr<trace::TracerProvider> inner_;
  const Options options_;
};

OTELPYROSCOPE_SHARED inline TableList& ProviderTables() noexcept {
  static TableList tables;
  return tables;
}

// The provider as ours, or nullptr. Any thread. Not async-signal-safe.
inline const ProfiledTracerProvider* AsOurs(const trace::TracerProvider* provider) noexcept {
  if (provider == nullptr || !ProviderTables().Has(VirtualTable(provider))) return nullptr;
  return static_cast<const ProfiledTracerProvider*>(provider);
}

// A provider that is ours already gives up what it holds. Without memory `provider` itself. Not
// async-signal-safe.
inline nostd::shared_ptr<trace::TracerProvider> WrapProvider(
    const nostd::shared_ptr<trace::TracerProvider>& provider, const Options& options) noexcept {
  const ProfiledTracerProvider* ours = AsOurs(provider.get());
  std::shared_ptr<ProfiledTracerProvider> wrapper =
      MakeShared<ProfiledTracerProvider>(ours == nullptr ? provider : ours->inner(), options);
  if (wrapper == nullptr) {
    pprof::CountDroppedLabels();
    return provider;
  }
  ProviderTables().Add(VirtualTable(wrapper.get()));
  LabelsOfOtherSpans().store(AllowedLabels(options), std::memory_order_relaxed);
  return nostd::shared_ptr<trace::TracerProvider>(
      std::shared_ptr<trace::TracerProvider>(std::move(wrapper)));
}

}  // namespace internal
}  // namespace v1
}  // namespace otelpyroscope
