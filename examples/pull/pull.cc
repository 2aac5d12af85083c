// A traced program whose profiles are pulled: it serves /debug/pprof/ and works for an hour or,
// with an argument, for that many seconds.

#include <opentelemetry/exporters/ostream/span_exporter_factory.h>
#include <opentelemetry/sdk/trace/simple_processor_factory.h>
#include <opentelemetry/sdk/trace/tracer_provider_factory.h>
#include <opentelemetry/trace/provider.h>
#include <otelpyroscope/otelpyroscope.h>
#include <pprof_http/pprof_http.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <vector>

namespace trace_api = opentelemetry::trace;
namespace trace_sdk = opentelemetry::sdk::trace;

namespace {

[[gnu::noinline]] int SortSomething(std::mt19937& random) {
  std::vector<unsigned> numbers(200000);
  for (unsigned& number : numbers) number = static_cast<unsigned>(random());
  std::sort(numbers.begin(), numbers.end());
  return static_cast<int>(numbers.front() % 7);
}

}  // namespace

int main(int argc, char** argv) {
  static std::ofstream no_spans("/dev/null");  // a real service exports them over OTLP
  auto provider =
      trace_sdk::TracerProviderFactory::Create(trace_sdk::SimpleSpanProcessorFactory::Create(
          opentelemetry::exporter::trace::OStreamSpanExporterFactory::Create(no_spans)));
  trace_api::Provider::SetTracerProvider(otelpyroscope::NewTracerProvider(std::move(provider)));

  const char* address = std::getenv("PPROF_ADDRESS");
  auto server = pprof_http::Serve({address == nullptr ? "127.0.0.1:6060" : address});
  if (!server.ok()) {
    std::cerr << server.status().message << '\n';
    return 1;
  }
  std::cout << "http://" << server->address() << "/debug/pprof/" << std::endl;

  const auto end =
      std::chrono::steady_clock::now() + std::chrono::seconds(argc > 1 ? std::atoi(argv[1]) : 3600);
  auto tracer = trace_api::Provider::GetTracerProvider()->GetTracer("pull");
  std::mt19937 random(1);
  int sum = 0;
  while (std::chrono::steady_clock::now() < end) {
    auto span = tracer->StartSpan("sort");
    trace_api::Scope scope(span);
    sum += SortSomething(random);
    span->End();
  }
  return sum < 0 ? 1 : 0;
}
