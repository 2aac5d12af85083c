// A user's program that links the bridge with the OpenTelemetry API alone, without its SDK:
// whatever provider a program has can be wrapped and unwrapped.
#include <cstdio>

#include <opentelemetry/trace/noop.h>
#include <opentelemetry/trace/provider.h>
#include <otelpyroscope/otelpyroscope.h>
#include <pprof/profile.h>

namespace nostd = opentelemetry::nostd;
namespace trace_api = opentelemetry::trace;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const nostd::shared_ptr<trace_api::TracerProvider> plain(new trace_api::NoopTracerProvider());
  const auto wrapped = otelpyroscope::NewTracerProvider(plain);
  trace_api::Provider::SetTracerProvider(wrapped);
  auto profile = pprof::StartCpuProfile(argv[1]);
  if (!profile.ok()) return 1;
  auto span = trace_api::Provider::GetTracerProvider()->GetTracer("consumer")->StartSpan("work");
  {
    const trace_api::Scope scope(span);
    volatile double sum = 0;
    for (int i = 1; i < 200000000; ++i) sum = sum + 1.0 / i;
  }
  span->End();
  const bool unwraps =
      wrapped.get() != plain.get() && otelpyroscope::Unwrap(wrapped).get() == plain.get();
  if (!unwraps) std::fprintf(stderr, "Unwrap() does not give the provider that was wrapped\n");
  return unwraps && profile->Stop().ok() ? 0 : 1;
}
