// A traced program with each kind of span that the live page explains, for live_test.mjs.
//
// Prints one line of JSON when all is done: the address of /debug/spans, that of a server which is
// open to other machines, and the ids of the spans by name. Serves until its standard input ends.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <opentelemetry/sdk/trace/processor.h>
#include <opentelemetry/sdk/trace/sampler.h>
#include <opentelemetry/sdk/trace/samplers/always_off.h>
#include <opentelemetry/sdk/trace/samplers/always_on.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/trace/scope.h>
#include <otelpyroscope/otelpyroscope.h>
#include <pprof_http/pprof_http.h>
#include <nlohmann/json.hpp>

namespace {

namespace nostd = opentelemetry::nostd;
namespace trace = opentelemetry::trace;
namespace sdk = opentelemetry::sdk::trace;
using Span = nostd::shared_ptr<trace::Span>;
using Tracer = nostd::shared_ptr<trace::Tracer>;
using std::chrono::milliseconds;

constexpr const char* kHostile =
    "<img src=x "
    "onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>";

class DroppingProcessor final : public sdk::SpanProcessor {
 public:
  std::unique_ptr<sdk::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<sdk::SpanData>();
  }
  void OnStart(sdk::Recordable&, const trace::SpanContext&) noexcept override {}
  void OnEnd(std::unique_ptr<sdk::Recordable>&&) noexcept override {}
  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }
};

// All but the spans named "unsampled".
class SamplerByName final : public sdk::Sampler {
 public:
  sdk::SamplingResult ShouldSample(
      const trace::SpanContext& parent, trace::TraceId id, nostd::string_view name,
      trace::SpanKind kind, const opentelemetry::common::KeyValueIterable& attributes,
      const trace::SpanContextKeyValueIterable& links) noexcept override {
    sdk::Sampler& chosen = name == "unsampled" ? static_cast<sdk::Sampler&>(off_) : on_;
    return chosen.ShouldSample(parent, id, name, kind, attributes, links);
  }
  nostd::string_view GetDescription() const noexcept override { return "by name"; }

 private:
  sdk::AlwaysOffSampler off_;
  sdk::AlwaysOnSampler on_;
};

std::int64_t ThreadCpuNs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// Functions of their own, so that their names are in the stacks: the empty statement keeps the call
// from becoming a jump.
[[gnu::noinline]] void Burn(milliseconds cpu) {
  static volatile std::uint64_t sink = 1;
  const std::int64_t end = ThreadCpuNs() + std::chrono::nanoseconds(cpu).count();
  while (ThreadCpuNs() < end) {
    for (int i = 0; i < 2000; ++i) sink = sink * 3 + 1;
  }
}
inline void BurnHere(milliseconds cpu) {
  Burn(cpu);
  asm volatile("" : : : "memory");
}
[[gnu::noinline]] void ComputePrices() { BurnHere(milliseconds(300)); }
[[gnu::noinline]] void WorkWithoutContext() { BurnHere(milliseconds(150)); }
[[gnu::noinline]] void WorkUnderHostileName() { BurnHere(milliseconds(120)); }
[[gnu::noinline]] void WorkWithoutTimer() { BurnHere(milliseconds(60)); }

class Scenes {
 public:
  explicit Scenes(Tracer tracer) : tracer_(std::move(tracer)) {}

  nlohmann::json Play() {
    Busy();
    Quick();
    Plain("waits", [] { usleep(60'000); });
    Plain("unsampled", [] { usleep(20'000); });
    Plain("unattached", [] { std::thread(WorkWithoutContext).join(); });
    Plain(kHostile, WorkUnderHostileName)->SetAttribute("too late", 1);
    Plain(
        "failed", [] { usleep(1'000); }, trace::StatusCode::kError);
    WithoutTimers();
    return ids_;
  }

 private:
  template <class F>
  Span Plain(const char* name, F&& work, trace::StatusCode status = trace::StatusCode::kUnset) {
    Span span = tracer_->StartSpan(name, {{"<b>key</b>", "</script><i>value"}});
    {
      const trace::Scope scope(span);
      work();
    }
    if (status != trace::StatusCode::kUnset) span->SetStatus(status, "on purpose");
    span->End();
    Remember(name, span);
    return span;
  }

  void Busy() {
    const Span root = tracer_->StartSpan("GET /busy", {{"http.request.method", "GET"}});
    {
      const trace::Scope scope(root);
      const Span child = tracer_->StartSpan("compute");
      {
        const trace::Scope inner(child);
        ComputePrices();
      }
      child->End();
      Remember("compute", child);
    }
    root->End();
    Remember("GET /busy", root);
  }

  // Takes 300 us, however busy the machine is.
  void Quick() {
    trace::StartSpanOptions start;
    start.start_system_time = std::chrono::system_clock::now();
    const auto now = std::chrono::steady_clock::now();
    start.start_steady_time = opentelemetry::common::SteadyTimestamp(now);
    const Span span = tracer_->StartSpan("quick", {}, start);
    trace::EndSpanOptions end;
    end.end_steady_time =
        opentelemetry::common::SteadyTimestamp(now + std::chrono::microseconds(300));
    span->End(end);
    Remember("quick", span);
  }

  // A thread whose timer the system really refuses.
  void WithoutTimers() {
    rlimit before{};
    getrlimit(RLIMIT_SIGPENDING, &before);
    rlimit none = before;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_SIGPENDING, &none);
    Plain("without timer", [this] {
      std::thread([this] {
        const Span span = tracer_->StartSpan("on a thread without timer");
        const trace::Scope scope(span);
        WorkWithoutTimer();
      }).join();
    });
    setrlimit(RLIMIT_SIGPENDING, &before);
  }

  void Remember(const char* name, const Span& span) {
    char id[16];
    span->GetContext().span_id().ToLowerBase16(id);
    char trace_id[32];
    span->GetContext().trace_id().ToLowerBase16(trace_id);
    ids_[name] = {{"span", std::string(id, 16)}, {"trace", std::string(trace_id, 32)}};
  }

  Tracer tracer_;
  nlohmann::json ids_;
};

pprof::Result<pprof_http::Server> Serve(const char* address) {
  pprof_http::ServerOptions options;
  options.address = address;
  options.spans = true;
  return pprof_http::Serve(options);
}

}  // namespace

int main() {
  usleep(2'100'000);  // so that watching begins later than the process, which the page says
  const auto page = Serve("127.0.0.1:0");
  const auto open = Serve("0.0.0.0:0");
  if (!page.ok() || !open.ok()) return 1;
  const auto provider = otelpyroscope::NewTracerProvider(
      nostd::shared_ptr<trace::TracerProvider>(new sdk::TracerProvider(
          std::make_unique<DroppingProcessor>(), opentelemetry::sdk::resource::Resource::Create({}),
          std::make_unique<SamplerByName>())));
  const nlohmann::json spans = Scenes(provider->GetTracer("live")).Play();
  const nlohmann::json ready = {
      {"address", page->address()}, {"open", open->address()}, {"spans", spans}};
  std::printf("%s\n", ready.dump().c_str());
  std::fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}
