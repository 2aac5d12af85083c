// What own_singletons_test.cc calls in its plugin.
#pragma once

#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/trace/span.h>
#include <opentelemetry/trace/tracer_provider.h>

using PluginSpan = opentelemetry::nostd::shared_ptr<opentelemetry::trace::Span>;
using PluginProvider = opentelemetry::nostd::shared_ptr<opentelemetry::trace::TracerProvider>;

extern "C" {
bool PluginSelfTest();
bool PluginInstall();
// Runs work(argument) with the span made current by the plugin.
void PluginRun(const PluginSpan* span, void (*work)(void*), void* argument);
// Wraps as a plugin would that has its own provider. The caller deletes.
PluginProvider* PluginWrap(const PluginProvider* provider);
}
