#include "examples/demo/accounting.h"

#include <time.h>

namespace demo {
namespace {

namespace trace = opentelemetry::trace;

std::int64_t Read(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

// The innermost span of this thread, and the thread's CPU clock when that began.
thread_local SpanRecord* t_current = nullptr;
thread_local std::int64_t t_since_ns = 0;

SpanRecord* SwitchTo(SpanRecord* next) {
  const std::int64_t now = Read(CLOCK_THREAD_CPUTIME_ID);
  SpanRecord* const previous = t_current;
  if (previous != nullptr) previous->cpu_ns.fetch_add(now - t_since_ns, std::memory_order_relaxed);
  t_current = next;
  t_since_ns = now;
  return previous;
}

template <class Id>
std::string Hex(const Id& id) {
  char text[2 * Id::kSize];
  id.ToLowerBase16(text);
  return std::string(text, sizeof text);
}

void Describe(const trace::Span& span, const char* name, SpanRecord* outer, SpanRecord& record) {
  const trace::SpanContext context = span.GetContext();
  record.trace_id = Hex(context.trace_id());
  record.span_id = Hex(context.span_id());
  record.root_span_id = outer == nullptr ? record.span_id : outer->root_span_id;
  record.name = name;
  record.sampled = span.IsRecording() && context.IsSampled();
  record.parent = outer;
  record.start_ns = MonotonicNs();
}

}  // namespace

std::int64_t MonotonicNs() { return Read(CLOCK_MONOTONIC); }
std::int64_t ProcessCpuNs() { return Read(CLOCK_PROCESS_CPUTIME_ID); }

SpanRecord& Ledger::Add() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return spans_.emplace_back();
}

std::size_t Ledger::size() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return spans_.size();
}

Ledger& GlobalLedger() {
  static Ledger ledger;
  return ledger;
}

Handover CaptureHandover() {
  return {opentelemetry::context::RuntimeContext::GetCurrent(), t_current};
}

ActiveSpan::ActiveSpan(trace::Tracer& tracer, const char* name)
    : outer_(t_current),
      record_(GlobalLedger().Add()),
      span_(tracer.StartSpan(name)),
      scope_(span_) {
  Describe(*span_, name, outer_, record_);
  SwitchTo(&record_);
}

ActiveSpan::~ActiveSpan() {
  SwitchTo(outer_);
  record_.wall_ns = MonotonicNs() - record_.start_ns;
  span_->End();
}

ResumedContext::ResumedContext(const Handover& handover)
    : outer_(SwitchTo(handover.record)),
      token_(opentelemetry::context::RuntimeContext::Attach(handover.context)) {}

ResumedContext::~ResumedContext() { SwitchTo(outer_); }

}  // namespace demo
