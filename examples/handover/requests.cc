#include "examples/handover/requests.h"

#include <opentelemetry/sdk/trace/processor.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/sdk/trace/tracer_provider_factory.h>
#include <opentelemetry/trace/provider.h>
#include <otelpyroscope/otelpyroscope.h>
#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <time.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/pprof_reader.h"

namespace handover {
namespace {

namespace trace = opentelemetry::trace;

double ThreadCpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

volatile double g_sum;

double Spin() {
  double sum = 0;
  for (const double end = ThreadCpuSeconds() + 0.04; ThreadCpuSeconds() < end;) {
    for (int i = 1; i < 2000; ++i) sum += std::sqrt(sum + i);
  }
  return sum;
}

// Two functions, so that a stack says whose work it was.
[[gnu::noinline]] void WorkOfA() { g_sum = Spin(); }
[[gnu::noinline]] void WorkOfB() { g_sum = Spin(); }

struct Request {
  const char* name;
  const char* function;
  void (*work)();
  std::string span_id;
};

void RunRequest(Request& request, const std::function<void(const Work&)>& serve) {
  auto span = trace::Provider::GetTracerProvider()->GetTracer("handover")->StartSpan(request.name);
  const trace::Scope scope(span);
  const pprof::LabelScope labels(pprof::Labels({{"request", request.name}}));
  char id[16];
  span->GetContext().span_id().ToLowerBase16(id);
  request.span_id.assign(id, sizeof id);
  serve(request.work);
  span->End();
}

bool CheckRequest(const pprof_reader::Profile& profile, const Request& request) {
  std::int64_t all = 0, right = 0;
  for (const pprof_reader::Sample& sample : profile.samples) {
    bool of_request = false;
    for (const auto& frame : sample.frames) {
      of_request |= frame.function.find(request.function) != std::string_view::npos;
    }
    if (!of_request) continue;
    all += sample.count;
    if (sample.Label("span_id") == request.span_id && sample.Label("span_name") == request.name &&
        sample.Label("request") == request.name) {
      right += sample.count;
    }
  }
  std::printf("%s: %lld samples of its work, %lld of them in its span\n", request.name,
              static_cast<long long>(all), static_cast<long long>(right));
  return all >= 5 && right == all;
}

}  // namespace

int RunTwoRequests(const std::function<void(const Work&)>& serve) {
  namespace sdk = opentelemetry::sdk::trace;
  trace::Provider::SetTracerProvider(otelpyroscope::NewTracerProvider(
      sdk::TracerProviderFactory::Create(std::vector<std::unique_ptr<sdk::SpanProcessor>>())));
  std::string bytes;
  auto running = pprof::StartCpuProfile([&bytes](std::string_view more) {
    bytes += more;
    return true;
  });
  if (!running.ok()) {
    std::fprintf(stderr, "%s\n", running.status().message.c_str());
    return 1;
  }
  Request requests[] = {{"request A", "WorkOfA", WorkOfA, ""},
                        {"request B", "WorkOfB", WorkOfB, ""}};
  std::thread first([&] { RunRequest(requests[0], serve); });
  RunRequest(requests[1], serve);
  first.join();
  running->Stop();
  std::string error;
  const auto profile = pprof_reader::Read(bytes, &error);
  if (!profile) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return 1;
  }
  const bool first_right = CheckRequest(*profile, requests[0]);
  const bool second_right = CheckRequest(*profile, requests[1]);
  const auto misplaced = pprof::ReadStats().scopes_misplaced;
  if (misplaced > 0)
    std::printf("%llu scopes ended on a thread where they did not begin\n",
                static_cast<unsigned long long>(misplaced));
  return first_right && second_right && misplaced == 0 ? 0 : 1;
}

}  // namespace handover
