// Traces, profiles and propagation of one process: what a service of yours would set up in main().
#pragma once

#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/trace/tracer.h>
#include <pyroscope/pyroscope.h>

#include <memory>
#include <string>

namespace rideshare {

// Keep it in main(): its end sends the last spans and the last profile.
class Telemetry {
 public:
  // `service`: the traces' service.name and the profiles' application name, which must be equal.
  // Spans go to OTEL_EXPORTER_OTLP_ENDPOINT (OTLP/HTTP) and profiles to PYROSCOPE_SERVER_ADDRESS;
  // where one is not set, nothing is sent. `sampled_share`: of the traces that begin here; a trace
  // that began elsewhere is sampled as its traceparent says.
  Telemetry(const std::string& service, double sampled_share);
  ~Telemetry();
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

 private:
  pyroscope::Profiler profiler_;
};

opentelemetry::nostd::shared_ptr<opentelemetry::trace::Tracer> GetTracer();
// REGION, "local" if not set: a label of every profile and an attribute of every span's resource.
std::string Region();

}  // namespace rideshare
