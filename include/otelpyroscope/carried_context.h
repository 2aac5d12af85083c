// Takes a request along to where its work goes on: a pool, std::async, an event loop, a coroutine
// that another thread resumes. Threads start without a context, so whoever hands work over carries
// it:
//
//   pool.Submit([carried = otelpyroscope::CarriedContext::Current(), work] {
//     otelpyroscope::CarriedScope scope(carried);  // on the pool's thread
//     work();
//   });
//
// Carried are the OpenTelemetry context (so spans started there have the right parent, and baggage
// is there) and everything that labels samples: the span's ids and name, and the labels of
// pprof::LabelScope.
#pragma once

#include <cstddef>
#include <utility>

#include <opentelemetry/context/context.h>
#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/nostd/unique_ptr.h>

#include <otelpyroscope/namespace.h>
#include <pprof/labels.h>

namespace otelpyroscope {
inline namespace v1 {

// An immutable value, cheap to copy; may outlive the span and be used on any thread, by several at
// a time. Not async-signal-safe.
class CarriedContext {
 public:
  CarriedContext() noexcept = default;  // no context, no labels

  // What is current on the calling thread.
  static CarriedContext Current() noexcept {
    return {context::RuntimeContext::GetCurrent(), pprof::CurrentLabels()};
  }

 private:
  friend class CarriedScope;
  CarriedContext(context::Context current, pprof::LabelSnapshot labels) noexcept
      : context_(std::move(current)), labels_(std::move(labels)) {}

  context::Context context_;
  pprof::LabelSnapshot labels_;
};

// Makes a carried context current on this thread, instead of what is current there, until
// destroyed. For the stack only, and for one thread: it must not live across a co_await, because
// the coroutine may go on elsewhere. Open it around the call that resumes. Not async-signal-safe.
class CarriedScope {
 public:
  explicit CarriedScope(const CarriedContext& carried) noexcept
      : token_(context::RuntimeContext::Attach(carried.context_)), labels_(carried.labels_) {}
  CarriedScope(const CarriedScope&) = delete;
  CarriedScope& operator=(const CarriedScope&) = delete;

 private:
  static void* operator new(std::size_t) = delete;

  // In this order: the snapshot lies over the context, since only it knows a SpanGuard's labels.
  nostd::unique_ptr<context::Token> token_;
  pprof::LabelScope labels_;
};

}  // namespace v1
}  // namespace otelpyroscope
