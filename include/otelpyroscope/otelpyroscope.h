// Span profiles for programs that are traced with opentelemetry-cpp: wrap the TracerProvider, and
// every CPU sample carries the span that was running. Header-only, compiled with the user's own
// OpenTelemetry headers and flags, because their layouts differ between releases and build options.
//
//   auto provider = InitTracer();  // an SDK provider, as usual
//   trace_api::Provider::SetTracerProvider(otelpyroscope::NewTracerProvider(provider));
//
// A span labels the thread that made it current (trace::Scope), from then until the Scope ends, on
// whichever thread that is. Work that is handed to other threads takes the span along with
// CarriedContext (carried_context.h). Code that never makes spans current uses SpanGuard
// (span_guard.h).
// Needs opentelemetry-cpp 1.19 or newer, ABI version 1 or 2. Works without exceptions and RTTI.
#pragma once

#include <memory>
#include <utility>

#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/trace/tracer_provider.h>

#include <otelpyroscope/carried_context.h>
#include <otelpyroscope/install.h>
#include <otelpyroscope/namespace.h>
#include <otelpyroscope/options.h>
#include <otelpyroscope/span_guard.h>
#include <otelpyroscope/tracer_provider.h>

namespace otelpyroscope {
inline namespace v1 {

// Any provider. The first call installs our RuntimeContextStorage: call it in main(), before other
// threads use OpenTelemetry. Keeps `wrapped` alive only as long as the returned object lives, not
// its tracers or spans. nullptr gives nullptr; a provider that is wrapped already is wrapped anew
// with these options, not twice. Any thread. Not async-signal-safe.
OTELPYROSCOPE_SHARED inline nostd::shared_ptr<trace::TracerProvider> NewTracerProvider(
    nostd::shared_ptr<trace::TracerProvider> wrapped, Options options = {}) noexcept {
  if (wrapped.get() == nullptr) return wrapped;
  InstallContextStorage();
  return internal::WrapProvider(wrapped, options);
}

// The same for a std::unique_ptr or std::shared_ptr to any provider, as the SDK's factory returns.
template <class Pointer>
nostd::shared_ptr<trace::TracerProvider> NewTracerProvider(Pointer wrapped,
                                                           Options options = {}) noexcept {
  std::shared_ptr<trace::TracerProvider> shared(std::move(wrapped));
  return NewTracerProvider(nostd::shared_ptr<trace::TracerProvider>(std::move(shared)), options);
}

// What was given to NewTracerProvider; the argument itself when it is not ours. For code that needs
// the SDK's type, to flush or shut down: a cast of the wrapped provider to it would crash. Any
// thread. Not async-signal-safe.
OTELPYROSCOPE_SHARED inline nostd::shared_ptr<trace::TracerProvider> Unwrap(
    const nostd::shared_ptr<trace::TracerProvider>& provider) noexcept {
  const internal::ProfiledTracerProvider* ours = internal::AsOurs(provider.get());
  return ours == nullptr ? provider : ours->inner();
}

}  // namespace v1
}  // namespace otelpyroscope
