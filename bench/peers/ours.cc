#include <pprof/labels.h>
#include <pprof/profile.h>

#include <cstdio>
#include <cstdlib>
#include <optional>

#include "bench/peers/profiler.h"
#include "tests/support/busy.h"

namespace peers {
namespace {
std::optional<pprof::CpuProfile>& Running() {
  static std::optional<pprof::CpuProfile> running;
  return running;
}
}  // namespace

void StartProfile(const char* path, int rate) {
  auto started = pprof::StartCpuProfile(path, {rate});
  if (!started.ok()) {
    std::fprintf(stderr, "%s\n", started.status().message.c_str());
    std::exit(1);
  }
  Running() = std::move(*started);
}

void StopProfile() {
  if (!Running()->Stop().ok()) std::exit(1);
}

void ThreadStarts() {  // any label makes a thread known; it stays so when the scope ends
  const pprof::LabelScope scope(pprof::Labels({{"kind", "worker"}}));
}

double LabelSwitchNs() {
  constexpr int kSwitches = 2000000;
  const pprof::LabelSet labels = pprof::Labels({{"operation", "search"}});
  const std::int64_t start = test::ThreadCpuNs();
  for (int i = 0; i < kSwitches; ++i) const pprof::LabelScope scope(labels);
  return static_cast<double>(test::ThreadCpuNs() - start) / kSwitches;
}

}  // namespace peers
