// An ordinary OpenTelemetry set-up of a service, wrapped by otelpyroscope in one line.
#pragma once

#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/trace/tracer.h>

#include <cstdint>

#include "examples/demo/options.h"

namespace demo {

// The resource's service.name, and so the application name of pushed profiles.
inline constexpr const char* kServiceName = "otelprof-demo";
// The operation that the sampler drops, as health checks usually are.
inline constexpr const char* kUnsampledOperation = "GET /healthz";

// Builds the SDK, wraps it, installs it as the global provider.
void InitTracing(const Options& options);
opentelemetry::nostd::shared_ptr<opentelemetry::trace::Tracer> GetTracer();
// Spans that reached the exporter, and of those: with the attribute pyroscope.profile.id.
struct ExportCounts {
  std::uint64_t spans = 0;
  std::uint64_t with_profile_id = 0;
};
ExportCounts ExportedSpans();

}  // namespace demo
