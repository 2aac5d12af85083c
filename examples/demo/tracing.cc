#include "examples/demo/tracing.h"

#include <opentelemetry/sdk/trace/exporter.h>
#include <opentelemetry/sdk/trace/sampler.h>
#include <opentelemetry/sdk/trace/simple_processor.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/trace/provider.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <utility>

namespace demo {
namespace {

namespace sdk = opentelemetry::sdk::trace;
namespace trace = opentelemetry::trace;
namespace nostd = opentelemetry::nostd;

std::atomic<std::uint64_t> g_spans{0};
std::atomic<std::uint64_t> g_with_profile_id{0};

// Stands where an OTLP exporter would: counts what it is given.
class CountingExporter final : public sdk::SpanExporter {
 public:
  std::unique_ptr<sdk::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<sdk::SpanData>();
  }
  opentelemetry::sdk::common::ExportResult Export(
      const nostd::span<std::unique_ptr<sdk::Recordable>>& spans) noexcept override {
    for (const auto& recordable : spans) {
      const auto& attributes = static_cast<const sdk::SpanData&>(*recordable).GetAttributes();
      ++g_spans;
      if (attributes.count("pyroscope.profile.id") > 0) ++g_with_profile_id;
    }
    return opentelemetry::sdk::common::ExportResult::kSuccess;
  }
  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }
};

// Drops one operation, keeps the rest.
class OperationSampler final : public sdk::Sampler {
 public:
  sdk::SamplingResult ShouldSample(
      const trace::SpanContext& parent, trace::TraceId id, nostd::string_view name,
      trace::SpanKind kind, const opentelemetry::common::KeyValueIterable& attributes,
      const trace::SpanContextKeyValueIterable& links) noexcept override {
    if (name == kUnsampledOperation) return {sdk::Decision::DROP, nullptr, {}};
    return always_.ShouldSample(parent, id, name, kind, attributes, links);
  }
  nostd::string_view GetDescription() const noexcept override { return "OperationSampler"; }

 private:
  sdk::AlwaysOnSampler always_;
};

}  // namespace

void InitTracing(const Options& options) {
  auto provider = std::make_unique<sdk::TracerProvider>(
      std::make_unique<sdk::SimpleSpanProcessor>(std::make_unique<CountingExporter>()),
      opentelemetry::sdk::resource::Resource::Create({{"service.name", kServiceName}}),
      std::make_unique<OperationSampler>());

  otelpyroscope::Options bridge;
  bridge.span_id_label_scope = options.scope;
  trace::Provider::SetTracerProvider(otelpyroscope::NewTracerProvider(std::move(provider), bridge));
}

nostd::shared_ptr<trace::Tracer> GetTracer() {
  return trace::Provider::GetTracerProvider()->GetTracer("otelprof-demo");
}

ExportCounts ExportedSpans() { return {g_spans.load(), g_with_profile_id.load()}; }

}  // namespace demo
