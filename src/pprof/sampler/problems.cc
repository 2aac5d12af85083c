// What goes wrong while sampling runs, one line a kind. Said by the collector, which holds no lock
// then: the host's log handler may open scopes, read statistics or fork.

#include <cstdio>
#include <cstring>

#include "src/pprof/base/log.h"
#include "src/pprof/labels/thread.h"
#include "src/pprof/sampler/sampler.h"

namespace pprof::sampler {
namespace {

using handler::g_shared;

std::uint64_t Read(const std::atomic<std::uint64_t>& counter) noexcept {
  return counter.load(std::memory_order_relaxed);
}

void SayRefused(int error) noexcept {
  char line[256];
  std::snprintf(line, sizeof line,
                "a thread is not sampled: timer_create: %s; raise RLIMIT_SIGPENDING (ulimit -i), "
                "which all processes of this user share (see SigQ in /proc/self/status)",
                std::strerror(error));
  base::LogOnce(LogLevel::kWarning, "timer refused", line);
}

void SayScanFailed(int error) noexcept {
  char line[256];
  std::snprintf(
      line, sizeof line,
      "threads cannot be listed: /proc/self/task: %s; only those with labels or spans are "
      "sampled: mount /proc, or raise RLIMIT_NOFILE (ulimit -n)",
      std::strerror(error));
  base::LogOnce(LogLevel::kWarning, "scan failed", line);
}

void SayHandlersLost(int times) noexcept {
  if (times >= 1) {
    base::LogOnce(LogLevel::kWarning, "handler replaced",
                  "the SIGPROF handler was replaced while a profile runs; taken back once, "
                  "foreign signals go to the new one");
  }
  if (times >= 2) {
    base::LogOnce(LogLevel::kError, "handler replaced twice",
                  "SIGPROF was taken by another handler again: sampling is off until all profiles "
                  "are stopped; only one user of SIGPROF can run at a time");
  }
}

void SayIf(bool happened, const char* kind, const char* line) noexcept {
  if (happened) base::LogOnce(LogLevel::kWarning, kind, line);
}

}  // namespace

void Sampler::SayProblems() noexcept {
  int handlers_lost = 0;
  bool storage_full = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    handlers_lost = handlers_lost_;
    storage_full = stats_.storage_full > 0;
  }
  SayHandlersLost(handlers_lost);
  if (Read(timers_.stats().refused) > 0) SayRefused(timers_.last_error());
  if (Read(timers_.stats().scans_failed) > 0) SayScanFailed(timers_.scan_error());
  SayIf(Read(g_shared.counters.lost_ring_full) > 0, "ring full",
        "samples were lost, the collector thread did not get a processor in time: see \"[lost: "
        "ring full]\" in the profile; lower the rate if it happens often");
  SayIf(Read(g_shared.counters.lost_no_ring) > 0, "no ring",
        "samples were lost, more than 512 threads were busy at once: see \"[lost: no ring]\" in "
        "the profile");
  SayIf(storage_full, "storage full",
        "a profile is full: samples are kept without stack and labels under \"[stack storage "
        "full]\"; take shorter profiles or fewer different label values");
  SayIf(Read(labels::g_label_counters.threads_over_limit) > 0, "threads over limit",
        "more than 16384 threads: the others are not sampled and have no labels");
}

}  // namespace pprof::sampler
