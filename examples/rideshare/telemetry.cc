#include "examples/rideshare/telemetry.h"

#include <opentelemetry/baggage/propagation/baggage_propagator.h>
#include <opentelemetry/context/propagation/composite_propagator.h>
#include <opentelemetry/context/propagation/global_propagator.h>
#include <opentelemetry/exporters/otlp/otlp_http_exporter_factory.h>
#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/trace/batch_span_processor_factory.h>
#include <opentelemetry/sdk/trace/batch_span_processor_options.h>
#include <opentelemetry/sdk/trace/processor.h>
#include <opentelemetry/sdk/trace/samplers/parent_factory.h>
#include <opentelemetry/sdk/trace/samplers/trace_id_ratio_factory.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/sdk/trace/tracer_provider_factory.h>
#include <opentelemetry/trace/propagation/http_trace_context.h>
#include <opentelemetry/trace/provider.h>
#include <otelpyroscope/otelpyroscope.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <utility>
#include <vector>

#include "examples/rideshare/settings.h"

namespace rideshare {
namespace {

namespace sdk = opentelemetry::sdk;
namespace trace = opentelemetry::trace;
namespace propagation = opentelemetry::context::propagation;

std::vector<std::unique_ptr<sdk::trace::SpanProcessor>> Processors() {
  std::vector<std::unique_ptr<sdk::trace::SpanProcessor>> processors;
  if (Setting("OTEL_EXPORTER_OTLP_ENDPOINT", Setting("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""))
          .empty()) {
    return processors;
  }
  sdk::trace::BatchSpanProcessorOptions batches;
  batches.schedule_delay_millis = std::chrono::seconds(1);
  processors.push_back(sdk::trace::BatchSpanProcessorFactory::Create(
      opentelemetry::exporter::otlp::OtlpHttpExporterFactory::Create(), batches));
  return processors;
}

void SetUpTraces(const std::string& service, double sampled_share) {
  std::shared_ptr<sdk::trace::Sampler> begin =
      sdk::trace::TraceIdRatioBasedSamplerFactory::Create(sampled_share);
  auto provider = sdk::trace::TracerProviderFactory::Create(
      Processors(),
      sdk::resource::Resource::Create({{"service.name", service}, {"cloud.region", Region()}}),
      sdk::trace::ParentBasedSamplerFactory::Create(begin));
  // The line that makes profiles of spans out of a profile.
  trace::Provider::SetTracerProvider(otelpyroscope::NewTracerProvider(std::move(provider)));
}

void SetUpPropagation() {
  std::vector<std::unique_ptr<propagation::TextMapPropagator>> both;
  both.push_back(std::make_unique<trace::propagation::HttpTraceContext>());
  both.push_back(std::make_unique<opentelemetry::baggage::propagation::BaggagePropagator>());
  propagation::GlobalTextMapPropagator::SetGlobalPropagator(
      opentelemetry::nostd::shared_ptr<propagation::TextMapPropagator>(
          std::make_shared<propagation::CompositePropagator>(std::move(both))));
}

pyroscope::Profiler StartProfiler(const std::string& service) {
  pyroscope::Config config;
  config.application_name = service;
  config.tags = {{"region", Region()}};
  auto profiler = pyroscope::Start(std::move(config));
  if (profiler.ok()) return std::move(*profiler);
  std::cerr << profiler.status().message << '\n';
  std::exit(1);
}

}  // namespace

Telemetry::Telemetry(const std::string& service, double sampled_share)
    : profiler_((SetUpTraces(service, sampled_share), SetUpPropagation(), StartProfiler(service))) {
}

Telemetry::~Telemetry() {
  // Unwrapped, because the SDK's own type is needed to send what is left.
  auto provider = otelpyroscope::Unwrap(trace::Provider::GetTracerProvider());
  if (auto* ours = dynamic_cast<sdk::trace::TracerProvider*>(provider.get())) {
    ours->ForceFlush(std::chrono::seconds(5));
  }
}

opentelemetry::nostd::shared_ptr<trace::Tracer> GetTracer() {
  return trace::Provider::GetTracerProvider()->GetTracer("rideshare");
}

std::string Region() { return Setting("REGION", "local"); }

}  // namespace rideshare
