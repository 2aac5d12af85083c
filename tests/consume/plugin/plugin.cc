// A plugin with a static copy of the profiler inside.
#include <pprof/labels.h>
#include <pprof/log.h>
#include <pprof/profile.h>
#include <pprof/stats.h>

#include <atomic>
#include <optional>
#include <string>

#include "samples.h"
#include "work.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

static std::optional<pprof::CpuProfile> profile;
static std::string failure;
static std::atomic<bool> written{false};
static std::atomic<int> lines{0};

EXPORT const char* plugin_start() {
  pprof::SetLogHandler([](pprof::LogLevel, std::string_view) { ++lines; });
  written = false;
  auto started =
      pprof::StartCpuProfile([](std::string_view bytes) { return written = !bytes.empty(); });
  failure = started.status().message;
  if (started.ok()) profile.emplace(std::move(*started));
  return failure.c_str();
}

EXPORT bool plugin_stop() {
  const bool good = profile->Stop().ok() && written;
  profile.reset();
  return good;
}

EXPORT double plugin_work(double seconds) {
  return pprof::Do(pprof::Labels({{"where", "plugin"}}), [seconds] { return Work(seconds); });
}

EXPORT unsigned long long plugin_samples() { return Samples(pprof::ReadStats()); }

EXPORT unsigned long long plugin_labelled() { return pprof::ReadStats().samples_labelled; }

EXPORT int plugin_log_lines() { return lines; }
