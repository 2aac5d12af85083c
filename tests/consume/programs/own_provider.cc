// A user's program whose spans come from a provider of its own, without OpenTelemetry's SDK: they
// are recorded and have ids, and that is all the bridge needs.
#include <opentelemetry/trace/provider.h>
#include <otelpyroscope/otelpyroscope.h>
#include <pprof/profile.h>
#include <pprof/stats.h>

#include <cstdint>
#include <cstdio>
#include <ctime>

namespace common = opentelemetry::common;
namespace nostd = opentelemetry::nostd;
namespace trace_api = opentelemetry::trace;

// Ids that count up.
static trace_api::SpanContext NextIds() {
  static std::uint8_t count = 0;
  ++count;
  const std::uint8_t trace_id[16] = {count, 1};
  const std::uint8_t span_id[8] = {count, 2};
  return {trace_api::TraceId(trace_id), trace_api::SpanId(span_id),
          trace_api::TraceFlags(trace_api::TraceFlags::kIsSampled), false};
}

class OwnSpan final : public trace_api::Span {
 public:
  void SetAttribute(nostd::string_view, const common::AttributeValue&) noexcept override {}
  void AddEvent(nostd::string_view) noexcept override {}
  void AddEvent(nostd::string_view, common::SystemTimestamp) noexcept override {}
  void AddEvent(nostd::string_view, const common::KeyValueIterable&) noexcept override {}
  void AddEvent(nostd::string_view, common::SystemTimestamp,
                const common::KeyValueIterable&) noexcept override {}
#if OPENTELEMETRY_ABI_VERSION_NO >= 2
  void AddLink(const trace_api::SpanContext&, const common::KeyValueIterable&) noexcept override {}
  void AddLinks(const trace_api::SpanContextKeyValueIterable&) noexcept override {}
#endif
  void SetStatus(trace_api::StatusCode, nostd::string_view) noexcept override {}
  void UpdateName(nostd::string_view) noexcept override {}
  void End(const trace_api::EndSpanOptions&) noexcept override {}
  trace_api::SpanContext GetContext() const noexcept override { return ids_; }
  bool IsRecording() const noexcept override { return true; }

 private:
  const trace_api::SpanContext ids_ = NextIds();
};

class OwnTracer final : public trace_api::Tracer {
 public:
  nostd::shared_ptr<trace_api::Span> StartSpan(
      nostd::string_view, const common::KeyValueIterable&,
      const trace_api::SpanContextKeyValueIterable&,
      const trace_api::StartSpanOptions&) noexcept override {
    return nostd::shared_ptr<trace_api::Span>(new OwnSpan());
  }
#if OPENTELEMETRY_ABI_VERSION_NO == 1
  void ForceFlushWithMicroseconds(std::uint64_t) noexcept override {}
  void CloseWithMicroseconds(std::uint64_t) noexcept override {}
#endif
};

class OwnProvider final : public trace_api::TracerProvider {
 public:
  nostd::shared_ptr<trace_api::Tracer> GetTracer(nostd::string_view, nostd::string_view,
                                                 nostd::string_view
#if OPENTELEMETRY_ABI_VERSION_NO >= 2
                                                 ,
                                                 const common::KeyValueIterable*
#endif
                                                 ) noexcept override {
    return nostd::shared_ptr<trace_api::Tracer>(new OwnTracer());
  }
};

static double CpuSeconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  trace_api::Provider::SetTracerProvider(otelpyroscope::NewTracerProvider(
      nostd::shared_ptr<trace_api::TracerProvider>(new OwnProvider())));
  auto profile = pprof::StartCpuProfile(argv[1]);
  if (!profile.ok()) return 1;
  auto span = trace_api::Provider::GetTracerProvider()->GetTracer("own")->StartSpan("own-work");
  {
    const trace_api::Scope scope(span);
    volatile double sum = 0;
    for (const double end = CpuSeconds() + 0.3; CpuSeconds() < end;) sum = sum + 1;
  }
  span->End();
  if (!profile->Stop().ok()) return 1;
  const unsigned long long labelled = pprof::ReadStats().samples_labelled;
  std::printf("%llu samples of the span\n", labelled);
  return labelled >= 20 ? 0 : 1;
}
