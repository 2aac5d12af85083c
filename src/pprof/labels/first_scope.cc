#include "src/pprof/labels/first_scope.h"

#include <time.h>

#include <atomic>
#include <mutex>

#include "src/pprof/labels/thread.h"
#include "src/pprof/labels/thread_registry.h"

namespace pprof::labels {
namespace {

using State = FirstScope::State;

// A thread that does nothing but push contexts without a name, or children of one root, gets its
// fast path back after so many.
constexpr std::uint32_t kMostLooks = 64;

void SetState(ThreadState& thread, State state) noexcept {
  thread.first.state = state;
  SeeAbandoned(thread);
}

std::int64_t ThreadCpuNs() noexcept {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

// Clock and deliveries of one moment: no signal came between the two.
void ReadBoth(const handler::ThreadRecord& record, std::int64_t* cpu_ns,
              std::uint64_t* delivered) noexcept {
  do {
    *delivered = record.delivered.load(std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    *cpu_ns = ThreadCpuNs();
    std::atomic_signal_fence(std::memory_order_seq_cst);
  } while (record.delivered.load(std::memory_order_relaxed) != *delivered);
}

const SpanName* NameOf(const SpanState* span) noexcept {
  return span == nullptr ? nullptr : span->name();
}

}  // namespace

void AwaitFirstScope(ThreadState& thread, std::uint32_t epoch) noexcept {
  thread.first.epoch = epoch;
  SetState(thread, State::kReady);
}

void GiveUpFirstScope(ThreadState& thread) noexcept { SetState(thread, State::kNone); }

void OpenFirstScope(ThreadState& thread, std::uint64_t token) noexcept {
  FirstScope& first = thread.first;
  const handler::ThreadRecord& record = *thread.record;
  const TraceContext* context = record.trace_context.load(std::memory_order_relaxed);
  first.span = context == nullptr ? nullptr : context->name;
  first.name = NameOf(first.span);
  first.labels = record.labels.load(std::memory_order_relaxed);
  if (first.name == nullptr && first.labels == nullptr) {
    if (++first.looked > kMostLooks) GiveUpFirstScope(thread);
    return;
  }
  const bool ids_alone = context != nullptr && first.name == nullptr;
  if (token == 0 || ids_alone) return GiveUpFirstScope(thread);
  auto& layers = thread.trace_layers;
  if (!layers.empty() && layers.back().token == token) layers.back().flags |= TraceLayer::kFirst;
  first.token = token;
  first.looked = 0;
  SetState(thread, State::kOpen);
  ReadBoth(record, &first.cpu_ns, &first.delivered);
}

void NestInFirstScope(ThreadState& thread, const TraceContext* context) noexcept {
  const FirstScope& first = thread.first;
  if (first.state != State::kOpen) return;
  const bool same = context != nullptr && first.span != nullptr && context->name == first.span;
  if (!same || ++thread.first.looked > kMostLooks) GiveUpFirstScope(thread);
}

void CloseFirstScope(ThreadState& thread, std::uint64_t token) noexcept {
  const FirstScope first = thread.first;
  if (first.state != State::kOpen || first.token != token) return;
  GiveUpFirstScope(thread);
  handler::ThreadRecord& record = *thread.record;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  record.trace_context.store(nullptr, std::memory_order_relaxed);
  record.labels.store(nullptr, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  ScopeCpu measured{};
  ReadBoth(record, &measured.cpu_ns, &measured.delivered);
  measured.name = NameOf(first.span);
  if (measured.name != first.name) return;  // renamed: samples of before carry the old name
  measured.cpu_ns -= first.cpu_ns;
  measured.delivered -= first.delivered;
  measured.epoch = first.epoch;
  measured.labels = first.labels;
  ThreadRegistry& registry = ThreadRegistry::Get();
  const std::lock_guard<std::mutex> lock(registry.mutex());
  if (registry.observer() != nullptr) registry.observer()->OnFirstScope(record, measured);
}

}  // namespace pprof::labels
