// A traced program for the tests of the bridge: an SDK provider whose ended spans can be read, the
// wrapped provider over it, and what the profiler would put on a sample now.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/sdk/trace/processor.h>
#include <opentelemetry/sdk/trace/sampler.h>
#include <opentelemetry/sdk/trace/samplers/always_on.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/sdk/trace/tracer_provider_factory.h>
#include <opentelemetry/trace/scope.h>
#include <opentelemetry/trace/tracer.h>

#include <otelpyroscope/otelpyroscope.h>
#include <pprof/trace_context.h>

namespace otelpyroscope_test {

namespace nostd = opentelemetry::nostd;
namespace context = opentelemetry::context;
namespace trace = opentelemetry::trace;
namespace sdk = opentelemetry::sdk::trace;

using Span = nostd::shared_ptr<trace::Span>;

struct EndedSpan {
  std::string name;
  std::string labelled;    // span_name of a sample taken while it ended
  std::string profile_id;  // empty: the attribute is not there
  std::string parent_id;
  std::int64_t duration_ns = 0;
};

template <std::size_t N>
std::string Hex(const std::uint8_t (&bytes)[N]) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 0xf];
  }
  return text;
}

inline std::string Hex(const trace::SpanId& id) {
  char text[16];
  id.ToLowerBase16(text);
  return std::string(text, sizeof(text));
}

inline std::string Hex(const trace::TraceId& id) {
  char text[32];
  id.ToLowerBase16(text);
  return std::string(text, sizeof(text));
}

inline std::string IdOf(const Span& span) { return Hex(span->GetContext().span_id()); }
inline std::string TraceOf(const Span& span) { return Hex(span->GetContext().trace_id()); }

// The labels of a sample taken now on this thread; an empty string is no label.
inline std::string SpanIdLabel() {
  const pprof::TraceContext* now = pprof::CurrentTraceContext();
  return now != nullptr && (now->labels & pprof::kSpanIdLabel) ? Hex(now->label_span_id) : "";
}
inline std::string TraceIdLabel() {
  const pprof::TraceContext* now = pprof::CurrentTraceContext();
  return now != nullptr && (now->labels & pprof::kTraceIdLabel) ? Hex(now->trace_id) : "";
}
inline std::string SpanNameLabel() {
  const pprof::TraceContext* now = pprof::CurrentTraceContext();
  if (now == nullptr || now->name == nullptr) return "";
  return std::string(now->name->name()->text, now->name->name()->size);
}
inline bool Unlabelled() {
  return SpanIdLabel().empty() && TraceIdLabel().empty() && SpanNameLabel().empty();
}

using EndedSpans = std::vector<EndedSpan>;

class KeepingProcessor final : public sdk::SpanProcessor {
 public:
  explicit KeepingProcessor(std::shared_ptr<EndedSpans> ended) : ended_(std::move(ended)) {}
  std::unique_ptr<sdk::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<sdk::SpanData>();
  }
  void OnStart(sdk::Recordable&, const trace::SpanContext&) noexcept override {}
  void OnEnd(std::unique_ptr<sdk::Recordable>&& recordable) noexcept override {
    auto* span = static_cast<sdk::SpanData*>(recordable.get());
    EndedSpan ended{std::string(span->GetName()), SpanNameLabel(), "", Hex(span->GetParentSpanId()),
                    span->GetDuration().count()};
    const auto found = span->GetAttributes().find("pyroscope.profile.id");
    if (found != span->GetAttributes().end()) {
      ended.profile_id = nostd::get<std::string>(found->second);
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_->push_back(ended);
  }
  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }

 private:
  std::mutex mutex_;
  std::shared_ptr<EndedSpans> ended_;
};

// Decides by the span's name.
class NameSampler final : public sdk::Sampler {
 public:
  sdk::SamplingResult ShouldSample(const trace::SpanContext&, trace::TraceId,
                                   nostd::string_view name, trace::SpanKind,
                                   const opentelemetry::common::KeyValueIterable&,
                                   const trace::SpanContextKeyValueIterable&) noexcept override {
    const std::string text(name);
    if (text == "dropped") return {sdk::Decision::DROP, nullptr, {}};
    if (text == "recorded") return {sdk::Decision::RECORD_ONLY, nullptr, {}};
    return {sdk::Decision::RECORD_AND_SAMPLE, nullptr, {}};
  }
  nostd::string_view GetDescription() const noexcept override { return "by name"; }
};

struct Program {
  explicit Program(otelpyroscope::Options options = {},
                   std::unique_ptr<sdk::Sampler> sampler = std::make_unique<sdk::AlwaysOnSampler>())
      : ended(std::make_shared<EndedSpans>()),
        provider(sdk::TracerProviderFactory::Create(
            std::make_unique<KeepingProcessor>(ended),
            opentelemetry::sdk::resource::Resource::Create({}), std::move(sampler))),
        wrapped(otelpyroscope::NewTracerProvider(provider, options)),
        tracer(wrapped->GetTracer("test")),
        plain_tracer(provider->GetTracer("test")) {}

  Span Start(const std::string& name) { return tracer->StartSpan(name); }
  Span Start(const std::string& name, const trace::SpanContext& parent) {
    trace::StartSpanOptions options;
    options.parent = parent;
    return tracer->StartSpan(name, options);
  }
  Span Start(const std::string& name, const context::Context& parent) {
    trace::StartSpanOptions options;
    options.parent = parent;
    return tracer->StartSpan(name, options);
  }
  EndedSpan Ended(const std::string& name) const {
    for (const EndedSpan& span : *ended) {
      if (span.name == name) return span;
    }
    return {};
  }

  std::shared_ptr<EndedSpans> ended;
  std::shared_ptr<trace::TracerProvider> provider;
  nostd::shared_ptr<trace::TracerProvider> wrapped;
  nostd::shared_ptr<trace::Tracer> tracer;
  nostd::shared_ptr<trace::Tracer> plain_tracer;  // obtained without wrapping
};

}  // namespace otelpyroscope_test
