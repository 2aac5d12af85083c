#include "examples/demo/push.h"

#include <pyroscope/pyroscope.h>
#include <pyroscope/stats.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "examples/demo/tracing.h"

namespace demo {
namespace {

std::optional<pyroscope::Profiler> g_profiler;

}  // namespace

bool StartPush() {
  const char* const address = std::getenv("PYROSCOPE_SERVER_ADDRESS");
  if (address == nullptr || *address == '\0') return true;
  pyroscope::Config config;  // the rest comes from the environment
  config.application_name = kServiceName;
  auto profiler = pyroscope::Start(std::move(config));
  if (!profiler.ok()) {
    std::fprintf(stderr, "demo: nothing can be pushed: %s\n", profiler.status().message.c_str());
    return false;
  }
  if (profiler->running()) g_profiler = std::move(*profiler);
  return true;
}

void StopPush() {
  if (!g_profiler) return;
  const pprof::Status stopped = g_profiler->Stop();
  g_profiler.reset();
  if (!stopped.ok()) std::fprintf(stderr, "demo: %s\n", stopped.message.c_str());
  const pyroscope::Stats stats = pyroscope::ReadStats();
  std::printf("pushed %" PRIu64 " of %" PRIu64 " profiles as {service_name=\"%s\"}\n\n",
              stats.profiles_accepted, stats.profiles_taken, kServiceName);
}

}  // namespace demo
