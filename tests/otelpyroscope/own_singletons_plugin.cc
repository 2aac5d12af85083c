// A plugin that uses OpenTelemetry and the bridge. Depending on how it is linked it shares the
// program's API singletons or has its own.
#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/trace/scope.h>
#include <opentelemetry/trace/tracer.h>

#include <otelpyroscope/otelpyroscope.h>

#include "tests/otelpyroscope/own_singletons_plugin.h"

namespace trace = opentelemetry::trace;

extern "C" {

[[gnu::visibility("default")]] bool PluginSelfTest() {
  return otelpyroscope::ContextStorageInstalled();
}

[[gnu::visibility("default")]] bool PluginInstall() {
  return otelpyroscope::InstallContextStorage();
}

[[gnu::visibility("default")]] void PluginRun(const PluginSpan* span, void (*work)(void*),
                                              void* argument) {
  const trace::Scope scope(*span);
  work(argument);
}

[[gnu::visibility("default")]] PluginProvider* PluginWrap(const PluginProvider* provider) {
  return new PluginProvider(otelpyroscope::NewTracerProvider(*provider));
}
}
