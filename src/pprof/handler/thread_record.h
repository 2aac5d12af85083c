// What the signal handler knows of a thread, and what the whole library knows of all threads: a
// fixed region of records that is never unmapped, so that a late signal always finds valid memory.
// labels/ and sampler/ fill the records.
#pragma once

#include <pprof/trace_context.h>
#include <time.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "src/pprof/handler/ring.h"

namespace pprof::handler {

// User labels as the handler copies them into a sample: for each label, sorted by key, { u16 key
// size, u16 value size, key bytes, value bytes }, native byte order, zero-padded to whole words.
struct LabelBlob {
  std::uint32_t bytes;  // without the padding
  std::uint32_t count;
  const std::uint64_t* words;
};

struct alignas(64) ThreadRecord {
  // Written by the owning thread, read by the handler on that thread.
  std::atomic<const TraceContext*> trace_context;
  std::atomic<const LabelBlob*> labels;

  // Written by the sampler. cookie is the sival_ptr of the thread's timer; 0: not sampled.
  std::atomic<std::uint64_t> cookie;
  std::atomic<std::uintptr_t> stack_low;
  std::atomic<std::uintptr_t> stack_high;  // 0: stack not known

  // Taken by the handler, taken away by the collector when the thread is idle.
  std::atomic<Ring*> ring;
  // 1 while a handler runs. Set before the handler reads ring or any shared pointer, so that
  // "pointer replaced, then busy seen 0" proves that no handler holds the old one (both sides
  // sequentially consistent).
  std::atomic<std::uint32_t> busy;
  // Weight delivered since the timer was armed, lost samples included.
  std::atomic<std::uint64_t> delivered;

  // Below: ordinary threads only, under the thread registry's lock.
  std::int32_t tid;
  std::int32_t timer;          // kernel timer id; -1: none
  std::uint32_t epoch;         // counts armings; part of the cookie
  std::uint32_t next_free;     // index + 1 in the free list
  std::int64_t cpu_at_arm_ns;  // CPU clock of the thread when its timer was armed
  std::int64_t unseen_ns;      // CPU time that no sample can stand for: before it was found
  std::uint64_t last_token;    // trace and label tokens are unique over all owners of a record
  std::uint32_t session;       // of sampling in which this thread got its timer or was refused one
  std::uint32_t seen;          // number of the last scan that found it; 0: none did
  bool refused;     // timer_create failed: cpu_at_arm_ns moves on as its CPU time is accounted for
  bool registered;  // by the thread itself (has an exit hook), not only found by a scan
};
static_assert(sizeof(ThreadRecord) == 128, "two cache lines a thread");

// 16,384 threads; beyond that a thread is not sampled and counted (Stats::threads_over_limit).
inline constexpr std::uint32_t kMaxThreads = 1u << 14;
inline constexpr std::uint32_t kMaxRings = 512;

// A cookie: magic (16 bits) | epoch (24) | record index (24).
constexpr std::uint64_t MakeCookie(std::uint16_t magic, std::uint32_t epoch, std::uint32_t index) {
  return std::uint64_t{magic} << 48 | std::uint64_t{epoch & 0xffffff} << 24 | index;
}

// Explained in <pprof/stats.h>. Those that the handler adds to are one cache line.
struct alignas(64) HandlerCounters {
  std::atomic<std::uint64_t> deliveries, overruns, foreign_signals, stale_signals;
  std::atomic<std::uint64_t> lost_ring_full, lost_no_ring, lost_reentrant;
};

// What the collector counts as it takes the samples out of the rings.
struct alignas(64) SampleCounters {
  std::atomic<std::uint64_t> samples, samples_labelled;
  std::atomic<std::uint64_t> walk_ends[6];  // by WalkEnd
};

// As clock_gettime(2), but returns -errno on failure.
using VdsoClock = int(clockid_t clock, timespec* now);

// All that the handler shares with the rest. Constant-initialised, never destroyed.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): the padding keeps writers apart
struct alignas(64) Shared {
  // What every sample reads and next to nobody writes: a cache line of its own.
  std::atomic<ThreadRecord*> records;  // kMaxThreads of them; nullptr before the first registration
  std::atomic<std::uint32_t> magic;    // of our cookies; 0 before the first start
  std::atomic<bool> enabled;           // a profile is running
  std::atomic<bool> idle;              // the collector sleeps long: the next sample wakes it
  std::atomic<VdsoClock*> clock;       // the kernel's clock_gettime; nullptr: by system call

  alignas(64) std::atomic<std::uint32_t> wake;  // futex: the collector sleeps on it
  // Weight that found no ring, to be taken by the collector.
  std::atomic<std::uint64_t> pending_lost;
  std::atomic<std::uint64_t> pending_lost_since_ns;
  RingPool rings;
  HandlerCounters counters;
  SampleCounters sample_counters;
};
extern Shared g_shared;

}  // namespace pprof::handler
