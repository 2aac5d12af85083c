// The demo's own books, independent of the profiler: for every span its wall time and the CPU time
// that threads spent while it was the innermost active span. The profile is compared with these.
#pragma once

#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/trace/scope.h>
#include <opentelemetry/trace/tracer.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

namespace demo {

struct SpanRecord {
  std::string trace_id;      // hex
  std::string span_id;       // hex
  std::string root_span_id;  // hex; its own for a local root
  std::string name;
  bool sampled = false;
  std::int64_t start_ns = 0;  // CLOCK_MONOTONIC
  std::int64_t wall_ns = 0;
  std::atomic<std::int64_t> cpu_ns{0};
  SpanRecord* parent = nullptr;
};

// All spans of the run, in the order of their starts. Grows only.
class Ledger {
 public:
  SpanRecord& Add();
  // REQUIRES: no span is started any more.
  const std::deque<SpanRecord>& spans() const { return spans_; }
  std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::deque<SpanRecord> spans_;
};

Ledger& GlobalLedger();

// What a task carries to another thread: the OpenTelemetry context and, for the books, the span's
// record.
struct Handover {
  opentelemetry::context::Context context;
  SpanRecord* record = nullptr;
};
Handover CaptureHandover();

// A span that is active on this thread until the object goes; then it ends.
class ActiveSpan {
 public:
  ActiveSpan(opentelemetry::trace::Tracer& tracer, const char* name);
  ~ActiveSpan();
  ActiveSpan(const ActiveSpan&) = delete;
  ActiveSpan& operator=(const ActiveSpan&) = delete;

 private:
  SpanRecord* outer_;
  SpanRecord& record_;
  opentelemetry::nostd::shared_ptr<opentelemetry::trace::Span> span_;
  opentelemetry::trace::Scope scope_;
};

// Makes a context that another thread captured active on this one until the object goes.
class ResumedContext {
 public:
  explicit ResumedContext(const Handover& handover);
  ~ResumedContext();
  ResumedContext(const ResumedContext&) = delete;
  ResumedContext& operator=(const ResumedContext&) = delete;

 private:
  SpanRecord* outer_;
  opentelemetry::nostd::unique_ptr<opentelemetry::context::Token> token_;
};

std::int64_t MonotonicNs();
std::int64_t ProcessCpuNs();

}  // namespace demo
