// What the bridge costs beyond the OpenTelemetry SDK alone. Both are measured in one process in
// alternating segments; a result is the median over pairs of neighbouring segments, because a busy
// machine changes its speed between runs more than the bridge costs.
//
// One line a result: name, value, unit, budget, reference (the SDK's own median in ns).
#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/sdk/trace/processor.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/trace/scope.h>
#include <opentelemetry/trace/tracer.h>
#include <otelpyroscope/otelpyroscope.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "src/pprof/spans/record.h"

namespace {

namespace nostd = opentelemetry::nostd;
namespace context = opentelemetry::context;
namespace trace = opentelemetry::trace;
namespace sdk = opentelemetry::sdk::trace;

constexpr int kPairs = 400;
constexpr int kScopes = 4'000;  // a segment: well below a scheduler's time slice
constexpr int kSpans = 1'000;

using Span = nostd::shared_ptr<trace::Span>;
using Storage = nostd::shared_ptr<context::RuntimeContextStorage>;

// Spans are recorded as for export, and dropped: the exporter's cost is not ours.
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

// One of the two sides that are compared.
struct Side {
  Storage storage;
  nostd::shared_ptr<trace::Tracer> tracer;
  bool sets_profile_id;  // as the bridge does by itself
};

// Time on the processor: others may use it too.
double ThreadCpuNanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

template <class F>
double NanosecondsEach(int count, F&& f) {
  const double start = ThreadCpuNanoseconds();
  for (int i = 0; i < count; ++i) f();
  return (ThreadCpuNanoseconds() - start) / count;
}

double Scopes(const Side& side) {
  const Span span = side.tracer->StartSpan("operation");
  return NanosecondsEach(kScopes, [&] { const trace::Scope scope(span); });
}

double NestedScopes(const Side& side) {
  const Span outer = side.tracer->StartSpan("operation");
  const trace::Scope outer_scope(outer);
  const Span span = side.tracer->StartSpan("part");
  return NanosecondsEach(kScopes, [&] { const trace::Scope scope(span); });
}

double Children(const Side& side) {
  const Span root = side.tracer->StartSpan("operation");
  const trace::Scope root_scope(root);
  return NanosecondsEach(kSpans, [&] {
    const Span span = side.tracer->StartSpan("part");
    { const trace::Scope scope(span); }
    span->End();
  });
}

double Roots(const Side& side) {
  return NanosecondsEach(kSpans, [&] {
    const Span span = side.tracer->StartSpan("operation");
    if (side.sets_profile_id) {
      char id[16];
      span->GetContext().span_id().ToLowerBase16(id);
      span->SetAttribute("pyroscope.profile.id", nostd::string_view(id, sizeof(id)));
    }
    { const trace::Scope scope(span); }
    span->End();
  });
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Comparison {
  double reference;   // medians
  double difference;  // of pairs
  double ratio;
};

// Nothing is attached when the storage changes, and no other thread runs.
template <class F>
Comparison Compare(const Side& without, const Side& with, F&& measure) {
  std::vector<double> reference, difference, ratio;
  for (int pair = -1; pair < kPairs; ++pair) {
    double value[2];
    for (int turn = 0; turn < 2; ++turn) {  // each side goes first every other time
      const bool second = ((pair + turn) & 1) != 0;
      const Side& side = second ? with : without;
      context::RuntimeContext::SetRuntimeContextStorage(side.storage);
      value[second ? 1 : 0] = measure(side);
    }
    if (pair < 0) continue;  // warms up
    reference.push_back(value[0]);
    difference.push_back(value[1] - value[0]);
    ratio.push_back(value[1] / value[0]);
  }
  return {Median(reference), Median(difference), Median(ratio)};
}

void ForgetRecords() {
  using pprof::spans::Record;
  for (Record* record = pprof::spans::TakeEnded(); record != nullptr;) {
    Record* const next = record->next;
    pprof::spans::Unref(record);
    record = next;
  }
}

// What a span costs more while somebody watches spans. Records are taken and freed between the
// segments, as the watch's own thread does.
template <class F>
void ReportWatched(const char* name, const Side& side, F&& measure) {
  std::vector<double> reference, difference;
  for (int pair = -1; pair < kPairs; ++pair) {
    double value[2];
    for (int turn = 0; turn < 2; ++turn) {
      const bool watched = ((pair + turn) & 1) != 0;
      if (watched) pprof::spans::Want(std::int64_t{16} << 20);
      value[watched ? 1 : 0] = measure(side);
      ForgetRecords();
      if (watched) pprof::spans::StopWanting();
    }
    if (pair < 0) continue;
    reference.push_back(value[0]);
    difference.push_back(value[1] - value[0]);
  }
  std::printf("%s %.1f ns 100 %.1f\n", name, Median(difference), Median(reference));
}

void Report(const char* prefix, const Side& without, const Side& with) {
  const Comparison scope = Compare(without, with, Scopes);
  const Comparison nested = Compare(without, with, NestedScopes);
  const Comparison child = Compare(without, with, Children);
  const Comparison root = Compare(without, with, Roots);
  std::printf("%s.scope_extra %.2f ns 2 %.1f\n", prefix, scope.difference, scope.reference);
  std::printf("%s.nested_scope_extra %.2f ns 2 %.1f\n", prefix, nested.difference,
              nested.reference);
  std::printf("%s.child_span %.3f ratio 1.12 %.1f\n", prefix, child.ratio, child.reference);
  std::printf("%s.root_span %.3f ratio 1.15 %.1f\n", prefix, root.ratio, root.reference);
}

}  // namespace

int main() {
  const nostd::shared_ptr<trace::TracerProvider> provider{std::shared_ptr<trace::TracerProvider>(
      std::make_shared<sdk::TracerProvider>(std::make_unique<DroppingProcessor>()))};
  const Storage stock(new context::ThreadLocalContextStorage);
  const auto wrapped = otelpyroscope::NewTracerProvider(provider);
  // The API hands its storage out as const; the bridge's own is not.
  const Storage ours(std::shared_ptr<context::RuntimeContextStorage>(
      const_cast<context::RuntimeContextStorage*>(
          context::RuntimeContext::GetConstRuntimeContextStorage().get()),
      [](context::RuntimeContextStorage*) {}));  // the bridge never frees it
  const Side without{stock, provider->GetTracer("bench"), true};
  const Side with{ours, wrapped->GetTracer("bench"), false};

  Report("bridge", without, with);
  // From here on reference counts are atomic: libstdc++ spares that while there is one thread. A
  // traced program has more, the exporter's at least.
  std::thread([] {}).join();
  Report("bridge.threads", without, with);
  ReportWatched("bridge.watched_child_extra", with, Children);
  ReportWatched("bridge.watched_root_extra", with, Roots);
  return 0;
}
