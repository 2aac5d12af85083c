#include "tests/e2e/push/work.h"

#include <fcntl.h>
#include <pprof/labels.h>
#include <pprof/trace_context.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string_view>

namespace push_driver {
namespace {

std::int64_t ClockUs(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000LL + now.tv_nsec / 1000;
}

// Time that the calling thread waited for a processor, from the kernel's scheduler statistics, so
// that a busy machine is not taken for a library that blocks.
class RunQueueWait {
 public:
  RunQueueWait() : file_(open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}
  ~RunQueueWait() { close(file_); }
  RunQueueWait(const RunQueueWait&) = delete;
  RunQueueWait& operator=(const RunQueueWait&) = delete;
  std::int64_t Us() const {
    char text[128] = {};
    if (pread(file_, text, sizeof text - 1, 0) <= 0) return 0;
    const char* wait = std::strchr(text, ' ');
    return wait == nullptr ? 0 : std::strtoll(wait, nullptr, 10) / 1000;
  }

 private:
  int file_;
};

__attribute__((noinline)) void Burn(std::int64_t cpu_us) {
  volatile std::uint64_t sink = 1;
  for (const std::int64_t end = ClockUs(CLOCK_THREAD_CPUTIME_ID) + cpu_us;
       ClockUs(CLOCK_THREAD_CPUTIME_ID) < end;) {
    for (int i = 0; i < 2000; ++i) sink = sink * 6364136223846793005u + 1442695040888963407u;
  }
}

__attribute__((noinline)) void HandleRequest(std::int64_t cpu_us) {
  Burn(cpu_us);
  asm volatile("" ::: "memory");
}

// One scope a label: their number is known at run time only.
void HandleLabelled(const std::vector<pprof::LabelSet>& labels, std::size_t from,
                    std::int64_t cpu_us) {
  if (from == labels.size()) return HandleRequest(cpu_us);
  const pprof::LabelScope scope(labels[from]);
  HandleLabelled(labels, from + 1, cpu_us);
}

// One span that is its own local root.
void ServeOne(const std::string& name, const std::vector<pprof::LabelSet>& labels,
              std::int64_t cpu_us, std::mt19937_64& random) {
  pprof::SpanState* state = pprof::SpanState::Create(name);
  pprof::TraceContext context{};
  for (auto& byte : context.trace_id) byte = static_cast<std::uint8_t>(random());
  for (auto& byte : context.span_id) byte = static_cast<std::uint8_t>(random());
  std::memcpy(context.label_span_id, context.span_id, sizeof context.span_id);
  context.valid = 1;
  context.labels = pprof::kSpanIdLabel | pprof::kTraceIdLabel;
  context.name = state;
  context.id = state;
  const pprof::TraceToken token = pprof::PushTraceContext(&context);
  HandleLabelled(labels, 0, cpu_us);
  pprof::PopTraceContext(token);
  if (state != nullptr) state->Unref();
}

pprof::LabelSet UniqueLabel(std::size_t bytes, std::mt19937_64& random) {
  std::string value(bytes, '0');
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
  for (char& digit : value) digit = kDigits[random() % kDigits.size()];
  return pprof::Labels({{"request", value}});
}

std::vector<pprof::LabelSet> MakeLabels(const WorkOptions& options) {
  std::vector<pprof::LabelSet> sets;
  for (const auto& [name, value] : options.labels) sets.push_back(pprof::Labels({{name, value}}));
  return sets;
}

}  // namespace

void Work::Start(WorkOptions options) {
  Stop();
  stop_ = false;
  for (int i = 0; i < options.threads; ++i) {
    threads_.emplace_back([this, options, i] { Serve(options, i); });
  }
}

void Work::Stop() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Work::Serve(const WorkOptions& options, int number) {
  std::mt19937_64 random(static_cast<std::uint64_t>(number) + 1);
  const RunQueueWait queue;
  std::vector<pprof::LabelSet> labels = MakeLabels(options);
  if (options.unique_label_bytes > 0) labels.emplace_back();
  while (!stop_) {
    if (options.unique_label_bytes > 0) {
      labels.back() = UniqueLabel(options.unique_label_bytes, random);
    }
    const std::uint64_t count = next_name_++;
    const std::string name = options.distinct_names != 0
                                 ? "operation " + std::to_string(count % options.distinct_names)
                                 : options.names[count % options.names.size()];
    const std::int64_t wait = queue.Us();
    const std::int64_t cpu = ClockUs(CLOCK_THREAD_CPUTIME_ID);
    const std::int64_t wall = ClockUs(CLOCK_MONOTONIC);
    ServeOne(name, labels, options.cpu_us, random);
    const std::int64_t took = ClockUs(CLOCK_MONOTONIC) - wall;
    Note(took - (ClockUs(CLOCK_THREAD_CPUTIME_ID) - cpu) - (queue.Us() - wait), took);
    if (options.idle_us > 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(options.idle_us));
    }
  }
}

void Work::Note(std::int64_t blocked_us, std::int64_t wall_us) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++latency_.requests;
  latency_.worst_blocked_us = std::max(latency_.worst_blocked_us, blocked_us);
  latency_.worst_wall_us = std::max(latency_.worst_wall_us, wall_us);
  if (blocked_us > 10'000) ++latency_.blocked_over_10ms;
}

Latency Work::latency() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return latency_;
}

}  // namespace push_driver
