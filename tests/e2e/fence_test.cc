// What the signal handler may not do: allocate, use much stack, or see half of a label change.

#include <gtest/gtest.h>
#include <malloc.h>
#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <pprof/trace_context.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "src/pprof/labels/label_data.h"
#include "src/pprof/labels/thread.h"
#include "tests/support/busy.h"
#include "tests/support/single_step_x86_64.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 0  // the sanitizer has its own, and its handler wrappers may use it
#else
#define OWN_ALLOCATOR 1
#endif

#if OWN_ALLOCATOR

extern "C" {
void* __libc_malloc(std::size_t);
void __libc_free(void*);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
}

namespace {

std::uint64_t g_allocations = 0;
bool g_spoil_freed = false;

void AbortInHandler() {
  const pprof::labels::ThreadState* thread = pprof::labels::t_state;
  if (thread != nullptr && thread->record->busy.load() != 0) std::abort();
  ++g_allocations;
}

}  // namespace

extern "C" {
void* malloc(std::size_t size) {
  AbortInHandler();
  return __libc_malloc(size);
}
void free(void* memory) {
  AbortInHandler();
  if (g_spoil_freed && memory != nullptr) std::memset(memory, 0xdd, malloc_usable_size(memory));
  __libc_free(memory);
}
void* calloc(std::size_t count, std::size_t size) {
  AbortInHandler();
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  AbortInHandler();
  return __libc_realloc(memory, size);
}
}

#endif  // OWN_ALLOCATOR

namespace pprof {
namespace {

bool Discard(std::string_view) { return true; }

#if OWN_ALLOCATOR
TEST(Fence, HandlerNeverAllocates) {
  // A thread that allocates most of the time, so that many samples interrupt the allocator itself.
  const Stats before = ReadStats();
  auto profile = StartCpuProfile(Discard, {1000});
  ASSERT_TRUE(profile.ok());
  std::thread([] {
    LabelScope scope(Labels({{"k", "v"}}));
    const std::int64_t end = test::ThreadCpuNs() + 1000000000;
    std::map<std::uint64_t, std::unique_ptr<std::string>> churn;
    for (std::uint64_t i = 0; test::ThreadCpuNs() < end; ++i) {
      churn[i * 7919 % 1000] = std::make_unique<std::string>(i % 300, 'x');
    }
  }).join();
  ASSERT_TRUE(profile->Stop().ok());
  EXPECT_GT(ReadStats().deliveries - before.deliveries, 100u);
  EXPECT_GT(g_allocations, 1000u);  // ours was the allocator in use
}
#endif

struct PaintedStack {
  static constexpr std::size_t kBytes = 256 * 1024;
  static constexpr unsigned char kPaint = 0xa5;
  unsigned char* memory;
  std::size_t used = 0;  // below the thread's own frame
};

void* WorkOnPaintedStack(void* argument) {
  auto& stack = *static_cast<PaintedStack*>(argument);
  LabelScope scope(Labels({{"k", "v"}}));
  test::BurnMs(20);
  auto* here = static_cast<unsigned char*>(__builtin_frame_address(0));
  // The loop below makes no calls, so everything under this line is the kernel's and the handler's.
  std::memset(stack.memory, PaintedStack::kPaint,
              static_cast<std::size_t>(here - stack.memory) - 2048);
  std::uint64_t x = 1;
  for (std::uint64_t i = 0; i < 800000000; ++i) x = x * 6364136223846793005u + 1;
  test::g_busy_sink = x;
  const unsigned char* lowest = stack.memory;
  while (*lowest == PaintedStack::kPaint) ++lowest;
  stack.used = static_cast<std::size_t>(here - lowest);
  return nullptr;
}

TEST(Fence, HandlerUsesLittleStack) {
  PaintedStack stack;
  void* memory = mmap(nullptr, PaintedStack::kBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack.memory = static_cast<unsigned char*>(memory);
  auto profile = StartCpuProfile(Discard, {1000});
  ASSERT_TRUE(profile.ok());
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, memory, PaintedStack::kBytes);
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, &attributes, WorkOnPaintedStack, &stack), 0);
  pthread_join(thread, nullptr);
  ASSERT_TRUE(profile->Stop().ok());
  munmap(memory, PaintedStack::kBytes);
  const std::size_t kernel = getauxval(AT_MINSIGSTKSZ);
  std::printf("  stack under the interrupted frame: %zu bytes, the kernel's signal frame: %zu\n",
              stack.used, kernel);
  // A thread of PTHREAD_STACK_MIN (16 KiB) must survive a sample.
  EXPECT_LT(stack.used, kernel + 2048 + 2048);
  EXPECT_GT(stack.used, 2048u);  // the handler did run here
}

// --- One label operation, instruction by instruction.
// -----------------------------------------------------------

labels::ThreadState* g_thread = nullptr;
std::uint64_t g_old_steps, g_new_steps, g_none_steps, g_wrong_steps;

// The published labels as a handler would copy them: "k=old" or "k=new", or nothing.
void CheckLabels() {
  const handler::LabelBlob* blob = g_thread->record->labels.load(std::memory_order_relaxed);
  if (blob == nullptr) {
    ++g_none_steps;
    return;
  }
  // { u16 1, u16 3, 'k', "old" or "new" }
  const char* text = reinterpret_cast<const char*>(blob->words);
  if (blob->bytes == 8 && std::memcmp(text + 4, "kold", 4) == 0)
    ++g_old_steps;
  else if (blob->bytes == 8 && std::memcmp(text + 4, "knew", 4) == 0)
    ++g_new_steps;
  else
    ++g_wrong_steps;
}

void ResetCounts() { g_old_steps = g_new_steps = g_none_steps = g_wrong_steps = 0; }

TEST(SingleStep, AtEveryInstructionOfALabelScopeTheOldLabelsOrTheNew) {
  g_thread = labels::CurrentThread();
  LabelScope outer(Labels({{"k", "old"}}));
  const LabelSet set = Labels({{"k", "new"}});
  for (int round = 0; round < 2; ++round) {  // first through the allocator, then from the cache
    ResetCounts();
    const std::uint64_t steps = test::SingleStep([&] { LabelScope scope(set); }, CheckLabels);
    std::printf("  %llu instructions: %llu old, %llu new, %llu none\n",
                static_cast<unsigned long long>(steps),
                static_cast<unsigned long long>(g_old_steps),
                static_cast<unsigned long long>(g_new_steps),
                static_cast<unsigned long long>(g_none_steps));
    EXPECT_GT(g_old_steps, 10u);
    EXPECT_GT(g_new_steps, 5u);
    EXPECT_EQ(g_none_steps, 0u);
    EXPECT_EQ(g_wrong_steps, 0u);
  }
}

// Runs `inside` with more different scopes open than a thread remembers merges of.
template <class F>
void InManyScopes(int count, F&& inside) {
  const LabelScope scope(Labels({{"k", count % 2 == 0 ? "new" : "old"}}));
  if (count == 0) return inside();
  InManyScopes(count - 1, inside);
}

// Whoever reads freed memory reads nonsense; AddressSanitizer sees to that itself.
void SpoilFreed(bool on) {
#if OWN_ALLOCATOR
  g_spoil_freed = on;
#else
  static_cast<void>(on);
#endif
}

// There a scope's set is freed at its end: not while it is published.
TEST(SingleStep, AtEveryInstructionOfAScopeThatFreesItsLabels) {
  g_thread = labels::CurrentThread();
  InManyScopes(2 * labels::ThreadState::kMergeSlots, [] {
    const LabelScope outer(Labels({{"k", "old"}}));
    // Take what the allocator has of this size, so that it writes into what is freed next.
    const std::vector<LabelSet> all = [] {
      std::vector<LabelSet> sets;
      for (int i = 0; i < 100; ++i) sets.push_back(Labels({{"k", "old"}}));
      return sets;
    }();
    ResetCounts();
    SpoilFreed(true);
    test::SingleStep([] { LabelScope scope(Labels({{"k", "new"}})); }, CheckLabels);
    SpoilFreed(false);
    EXPECT_GT(g_old_steps, 10u);
    EXPECT_GT(g_new_steps, 5u);
    EXPECT_EQ(g_none_steps, 0u);
    EXPECT_EQ(g_wrong_steps, 0u);
  });
}

const TraceContext* g_contexts[2];

void CheckContext() {
  const TraceContext* now = g_thread->record->trace_context.load(std::memory_order_relaxed);
  if (now == nullptr)
    ++g_none_steps;
  else if (now == g_contexts[0])
    ++g_old_steps;
  else if (now == g_contexts[1])
    ++g_new_steps;
  else
    ++g_wrong_steps;
}

TEST(SingleStep, AtEveryInstructionOfAPushAndPopTheOldContextOrTheNew) {
  g_thread = labels::CurrentThread();
  TraceContext outer = {};
  TraceContext inner = {};
  g_contexts[0] = &outer;
  g_contexts[1] = &inner;
  const TraceToken token = PushTraceContext(&outer);
  ResetCounts();
  test::SingleStep([&] { PopTraceContext(PushTraceContext(&inner)); }, CheckContext);
  EXPECT_TRUE(PopTraceContext(token));
  EXPECT_GT(g_old_steps, 10u);
  EXPECT_GT(g_new_steps, 5u);
  EXPECT_EQ(g_none_steps, 0u);
  EXPECT_EQ(g_wrong_steps, 0u);
}

std::uint64_t g_mixed_steps;

// A sample must never carry the labels of one moment and the trace context of another.
void CheckPair() {
  const TraceContext* context = g_thread->record->trace_context.load(std::memory_order_relaxed);
  const handler::LabelBlob* blob = g_thread->record->labels.load(std::memory_order_relaxed);
  if (blob == nullptr) return;
  const bool new_labels =
      std::memcmp(reinterpret_cast<const char*>(blob->words) + 4, "knew", 4) == 0;
  const bool new_context = context != nullptr && context->label_span_id[0] == 2;
  if (new_labels != new_context) ++g_mixed_steps;
}

TEST(SingleStep, SnapshotNeverMixesLabelsOfOneMomentWithTheContextOfAnother) {
  g_thread = labels::CurrentThread();
  TraceContext old_context = {};
  TraceContext new_context = {};
  old_context.label_span_id[0] = 1;
  new_context.label_span_id[0] = 2;
  LabelSnapshot snapshot;
  {
    const TraceToken token = PushTraceContext(&new_context);
    LabelScope scope(Labels({{"k", "new"}}));
    snapshot = CurrentLabels();
    PopTraceContext(token);
  }
  const TraceToken token = PushTraceContext(&old_context);
  LabelScope scope(Labels({{"k", "old"}}));
  g_mixed_steps = 0;
  const std::uint64_t steps = test::SingleStep([&] { LabelScope replace(snapshot); }, CheckPair);
  PopTraceContext(token);
  EXPECT_GT(steps, 50u);
  EXPECT_EQ(g_mixed_steps, 0u);
}

}  // namespace
}  // namespace pprof
