#include "src/pprof/handler/handler.h"

#include <errno.h>
#include <linux/futex.h>
#include <ucontext.h>

#include "src/pprof/handler/clock.h"
#include "src/pprof/handler/ring.h"
#include "src/pprof/handler/syscall.h"
#include "src/pprof/handler/thread_record.h"
#include "src/pprof/handler/unwind_table.h"
#include "src/pprof/handler/walk.h"

namespace pprof::handler {

std::atomic<const struct sigaction*> g_previous{nullptr};

namespace {

constexpr std::uint32_t Words(std::uint32_t bytes) { return (bytes + 7) / 8; }

// If we are the handler that the previous handler calls, the two would call each other for ever.
// The mark in the unused end of the siginfo, which belongs to this one delivery, shows that we were
// here before.
constexpr std::uint64_t kChainMark = 0x6f74656c70726f66;

std::uint64_t* ChainMark(siginfo_t* info) {
  static_assert(sizeof(siginfo_t) >= 64 + kChainMarkSlots * sizeof(std::uint64_t));
  auto* const end = reinterpret_cast<std::uint64_t*>(reinterpret_cast<char*>(info) + sizeof(*info));
  return end - 1 - ChainMarkSlot(g_shared.magic.load(std::memory_order_relaxed));
}

// Our own way never changes errno; another's may, and asking for its place costs two cache misses.
[[gnu::noinline, gnu::cold]] void PassOn(int signal, siginfo_t* info, void* context) {
  const struct sigaction* previous = g_previous.load(std::memory_order_acquire);
  if (previous == nullptr || *ChainMark(info) == kChainMark) return;
  *ChainMark(info) = kChainMark;
  const int saved_errno = errno;
  if ((previous->sa_flags & SA_SIGINFO) != 0) {
    if (previous->sa_sigaction != nullptr) previous->sa_sigaction(signal, info, context);
  } else if (previous->sa_handler != SIG_DFL && previous->sa_handler != SIG_IGN) {
    previous->sa_handler(signal);
  }
  errno = saved_errno;
}

void Add(std::atomic<std::uint64_t>& counter, std::uint64_t n) {
  counter.fetch_add(n, std::memory_order_relaxed);
}

void WakeCollector() {
  if (g_shared.wake.exchange(1, std::memory_order_acq_rel) == 0) {
    RawFutexWake(&g_shared.wake);
  }
}

// Copies whole words; `from` is readable up to the end of its last word or copied byte by byte.
std::uint64_t* CopyWords(std::uint64_t* to, const std::uint64_t* from, std::uint32_t words) {
  for (std::uint32_t i = 0; i < words; ++i) {
    to[i] = from[i];
    asm volatile("" ::: "memory");  // keeps the compiler from calling memcpy
  }
  return to + words;
}

std::uint64_t* CopyText(std::uint64_t* to, const char* text, std::uint32_t bytes) {
  const std::uint32_t words = Words(bytes);
  if (words > 0) to[words - 1] = 0;
  auto* out = reinterpret_cast<char*>(to);
  for (std::uint32_t i = 0; i < bytes; ++i) {
    out[i] = text[i];
    asm volatile("" ::: "memory");
  }
  return to + words;
}

// The labels of this moment, read once.
struct Context {
  const TraceContext* trace;
  const SpanName* name;
  const LabelBlob* labels;
  std::uint32_t name_bytes;
  std::uint32_t label_bytes;
};

Context ReadContext(const ThreadRecord& record) {
  Context now{};
  now.trace = record.trace_context.load(std::memory_order_relaxed);
  now.labels = record.labels.load(std::memory_order_relaxed);
  if (now.trace != nullptr && now.trace->name != nullptr) now.name = now.trace->name->name();
  if (now.name != nullptr) now.name_bytes = now.name->size;
  if (now.labels != nullptr) now.label_bytes = now.labels->bytes;
  return now;
}

std::uint64_t* WriteContext(SampleHeader* header, const Context& now) {
  header->labels = kNoTraceLabels;
  header->has_name = now.name != nullptr;
  header->name_bytes = static_cast<std::uint16_t>(now.name_bytes);
  header->label_bytes = now.label_bytes;
  header->trace_id[0] = header->trace_id[1] = header->span_id = 0;
  if (now.trace != nullptr) {
    header->labels = now.trace->labels;
    if ((header->labels & kTraceIdLabel) != 0) {
      __builtin_memcpy(header->trace_id, now.trace->trace_id, sizeof(header->trace_id));
    }
    if ((header->labels & kSpanIdLabel) != 0) {
      __builtin_memcpy(&header->span_id, now.trace->label_span_id, sizeof(header->span_id));
    }
  }
  auto* out = reinterpret_cast<std::uint64_t*>(header + 1);
  if (now.name != nullptr) out = CopyText(out, now.name->text, now.name_bytes);
  if (now.labels != nullptr) out = CopyWords(out, now.labels->words, Words(now.label_bytes));
  return out;
}

// The thread's ring, taken from the pool if it has none.
Ring* FindRing(ThreadRecord& record, std::uint32_t index) {
  Ring* ring = record.ring.load(std::memory_order_seq_cst);
  if (ring == nullptr) {
    ring = g_shared.rings.Take();
    if (ring == nullptr) return nullptr;
    ring->owner.store(index + 1, std::memory_order_release);
    record.ring.store(ring, std::memory_order_seq_cst);
  }
  return ring;
}

void CountNoRing(std::uint64_t weight, std::uint64_t time_ns) {
  Add(g_shared.counters.lost_no_ring, weight);
  if (g_shared.pending_lost.fetch_add(weight, std::memory_order_acq_rel) == 0) {
    g_shared.pending_lost_since_ns.store(time_ns, std::memory_order_release);
  }
  WakeCollector();
}

void TakeSample(ThreadRecord& record, std::uint32_t index, std::uint32_t weight,
                const ucontext_t& context) {
  Ring* ring = FindRing(record, index);
  if (ring == nullptr) return CountNoRing(weight, MonotonicNs());
  PrefetchWalk(context, ring->rules);
  const std::uint64_t now_ns = MonotonicNs();
  const Context now = ReadContext(record);
  const std::uint32_t fixed = static_cast<std::uint32_t>(sizeof(SampleHeader) / 8) +
                              Words(now.name_bytes) + Words(now.label_bytes);
  std::uint64_t* words = ring->Reserve(fixed + kMaxFrames);
  if (words == nullptr) {
    ring->CountLoss(weight, now_ns);
    Add(g_shared.counters.lost_ring_full, weight);
    return WakeCollector();
  }
  auto* header = reinterpret_cast<SampleHeader*>(words);
  std::uint64_t* frames = WriteContext(header, now);
  const StackBounds stack{record.stack_low.load(std::memory_order_relaxed),
                          record.stack_high.load(std::memory_order_relaxed)};
  const WalkResult walked = Walk(context, stack, frames, kMaxFrames, &ring->rules);
  header->words = fixed + walked.frames;
  header->kind = RecordKind::kSample;
  header->walk_end = static_cast<std::uint8_t>(walked.end);
  header->weight = weight;
  header->frames = static_cast<std::uint16_t>(walked.frames);
  header->time_ns = now_ns;
  header->reserved = 0;
  ring->Commit(header->words);
  if (now.trace != nullptr && now.trace->id != nullptr) now.trace->id->MarkSampled();
  if (ring->HalfFull() || g_shared.idle.load(std::memory_order_relaxed)) WakeCollector();
}

void OnOwnSignal(ThreadRecord& record, std::uint32_t index, const siginfo_t& info,
                 const ucontext_t& context) {
  const std::uint32_t weight =
      1u + static_cast<std::uint32_t>(info.si_overrun > 0 ? info.si_overrun : 0);
  if (record.busy.load(std::memory_order_relaxed) != 0) {
    Add(g_shared.counters.lost_reentrant, weight);
    return;
  }
  record.busy.store(1, std::memory_order_seq_cst);
  // Read behind `busy`: whoever turned this off and then saw busy == 0 knows that no handler
  // touches a ring any more.
  if (!g_shared.enabled.load(std::memory_order_seq_cst)) {
    Add(g_shared.counters.stale_signals, 1);
  } else {
    Add(g_shared.counters.deliveries, 1);
    if (weight > 1) Add(g_shared.counters.overruns, weight - 1);
    Add(record.delivered, weight);
    TakeSample(record, index, weight, context);
  }
  // Whoever reads this 0 sees all that the handler did.
  record.busy.store(0, std::memory_order_release);
}

}  // namespace

void OnSigprof(int signal, siginfo_t* info, void* context) noexcept {
  __builtin_prefetch(&g_shared.counters);
  __builtin_prefetch(&g_unwind_table);
  const auto cookie = reinterpret_cast<std::uint64_t>(info->si_value.sival_ptr);
  const std::uint32_t magic = g_shared.magic.load(std::memory_order_relaxed);
  ThreadRecord* const records = g_shared.records.load(std::memory_order_acquire);
  const auto index = static_cast<std::uint32_t>(cookie & 0xffffff);
  if (info->si_code != SI_TIMER || magic == 0 || (cookie >> 48) != magic || records == nullptr ||
      index >= kMaxThreads) {
    Add(g_shared.counters.foreign_signals, 1);
    PassOn(signal, info, context);
  } else if (records[index].cookie.load(std::memory_order_relaxed) != cookie) {
    Add(g_shared.counters.stale_signals, 1);
  } else {
    OnOwnSignal(records[index], index, *info, *static_cast<const ucontext_t*>(context));
  }
}

}  // namespace pprof::handler
