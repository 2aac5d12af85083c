// Cost of walking a stack, beside the unwinders that a C++ program could call instead, and of
// building the tables for it. Budgets: 15 ns a frame with warm caches; 2.5 ms of table building a
// MB of code over all modules.
//
// libunwind is opened at run time: linked, it would also take over _Unwind_Backtrace. Counter
// ns_per_frame: each unwinder divided by the frames that it found itself.
#include <benchmark/benchmark.h>
#include <dlfcn.h>
#include <pthread.h>
#include <ucontext.h>
#include <unwind.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "src/pprof/handler/walk.h"
#include "src/pprof/unwind/module_registry.h"

namespace {

using Clock = std::chrono::steady_clock;
using pprof::handler::StackBounds;
using pprof::handler::Walk;
using pprof::handler::WalkEnd;
using pprof::unwind::ModuleRegistry;

constexpr std::uint32_t kMaxFrames = 512;
constexpr std::size_t kSweepBytes = 96u << 20;  // more than the caches hold

std::uint64_t g_frames[kMaxFrames];

ModuleRegistry& Tables() {
  static auto* const registry = new ModuleRegistry;
  static const bool built = registry->Refresh();
  benchmark::DoNotOptimize(built);
  return *registry;
}

StackBounds OwnStack() {
  pthread_attr_t attributes;
  void* low = nullptr;
  std::size_t size = 0;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return {};
  pthread_attr_getstack(&attributes, &low, &size);
  pthread_attr_destroy(&attributes);
  const auto start = reinterpret_cast<std::uintptr_t>(low);
  return {start, start + size};
}

// Calls `leaf` below `depth` further frames.
[[gnu::noinline]] std::uint64_t Descend(std::uint64_t depth, const std::function<void()>& leaf) {
  volatile std::uint64_t local = depth;
  if (depth == 0) {
    leaf();
    return local;
  }
  const std::uint64_t below = Descend(depth - 1, leaf);
  return below + local;  // after the call, so that it is no jump
}

// All start at their caller's frame or near it and return how many frames they found.
using Unwinder = std::uint32_t (*)();

// What a signal handler is given: taken before the measured loop, in a frame that lives as long.
ucontext_t g_context;
StackBounds g_stack;

[[gnu::noinline]] std::uint32_t WithTables() {
  return Walk(g_context, g_stack, g_frames, kMaxFrames).frames;
}

_Unwind_Reason_Code CountFrame(_Unwind_Context* context, void* argument) {
  auto& count = *static_cast<std::uint32_t*>(argument);
  if (count == kMaxFrames) return _URC_END_OF_STACK;
  g_frames[count++] = _Unwind_GetIP(context);
  return _URC_NO_REASON;
}

[[gnu::noinline]] std::uint32_t WithUnwindBacktrace() {
  std::uint32_t count = 0;
  _Unwind_Backtrace(CountFrame, &count);
  return count;
}

#define OTELPROF_TEXT2(x) #x
#define OTELPROF_TEXT(x) OTELPROF_TEXT2(x)

template <class Function>
Function* FromLibunwind(const char* name) {
  static void* const library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
  return library == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(library, name));
}

// The header's names stand for symbols with the architecture in them.
decltype(unw_init_local)* const g_init =
    FromLibunwind<decltype(unw_init_local)>(OTELPROF_TEXT(unw_init_local));
decltype(unw_step)* const g_step = FromLibunwind<decltype(unw_step)>(OTELPROF_TEXT(unw_step));
decltype(unw_get_reg)* const g_get_reg =
    FromLibunwind<decltype(unw_get_reg)>(OTELPROF_TEXT(unw_get_reg));
int (*const g_backtrace)(void**, int) = FromLibunwind<int(void**, int)>("unw_backtrace");

[[gnu::noinline]] std::uint32_t WithUnwStep() {
  unw_context_t context;
  unw_cursor_t cursor;
  getcontext(&context);  // unw_context_t is a ucontext_t on x86-64
  g_init(&cursor, &context);
  std::uint32_t count = 0;
  do {
    unw_word_t pc = 0;
    g_get_reg(&cursor, UNW_REG_IP, &pc);
    g_frames[count++] = pc;
  } while (count < kMaxFrames && g_step(&cursor) > 0);
  return count;
}

[[gnu::noinline]] std::uint32_t WithUnwBacktrace() {
  const int count = g_backtrace(reinterpret_cast<void**>(g_frames), kMaxFrames);
  return static_cast<std::uint32_t>(count);
}

// How many frames Descend must add, so that the walk finds `wanted`.
std::uint64_t DepthFor(std::uint32_t wanted) {
  std::uint32_t base = 0;
  Descend(0, [&] {
    getcontext(&g_context);
    base = WithTables() - 1;  // without this function's own
  });
  return wanted > base ? wanted - base : 0;
}

bool Available(benchmark::State& state, Unwinder unwinder) {
  const bool libunwind = unwinder == WithUnwStep || unwinder == WithUnwBacktrace;
  if (!libunwind || (g_init && g_step && g_get_reg && g_backtrace)) return true;
  state.SkipWithError("libunwind.so.8 is not installed");
  return false;
}

void Hot(benchmark::State& state, Unwinder unwinder, bool stack_known) {
  if (!Available(state, unwinder)) return;
  Tables();
  g_stack = stack_known ? OwnStack() : StackBounds{};
  std::uint32_t frames = 1;
  const std::uint64_t depth = DepthFor(static_cast<std::uint32_t>(state.range(0)));
  Descend(depth, [&] {
    getcontext(&g_context);
    for (auto _ : state) benchmark::DoNotOptimize(frames = unwinder());
  });
  state.counters["frames"] = frames;
  state.counters["ns_per_frame"] = benchmark::Counter(
      frames * 1e-9, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void Cold(benchmark::State& state, Unwinder unwinder) {
  if (!Available(state, unwinder)) return;
  Tables();
  g_stack = OwnStack();
  std::vector<char> sweep(kSweepBytes);
  getcontext(&g_context);
  std::uint32_t frames = unwinder();  // what is set up once is not measured
  const std::uint64_t depth = DepthFor(static_cast<std::uint32_t>(state.range(0)));
  Descend(depth, [&] {
    getcontext(&g_context);
    for (auto _ : state) {
      for (std::size_t i = 0; i < sweep.size(); i += 64) ++sweep[i];
      benchmark::ClobberMemory();
      const auto start = Clock::now();
      benchmark::DoNotOptimize(frames = unwinder());
      state.SetIterationTime(std::chrono::duration<double>(Clock::now() - start).count());
    }
  });
  state.counters["frames"] = frames;
  state.counters["ns_per_frame"] = benchmark::Counter(
      frames * 1e-9, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

// From nothing to published tables for all modules, reading them included. A registry is never
// destroyed, hence the fixed and small number of iterations.
void BuildTables(benchmark::State& state, const char* library) {
  if (library != nullptr && dlopen(library, RTLD_NOW | RTLD_LOCAL) == nullptr) {
    state.SkipWithError("the library is not installed");
    return;
  }
  double text_mb = 0;
  std::size_t table_bytes = 0;
  for (auto _ : state) {
    auto* const registry = new ModuleRegistry;
    registry->Refresh();
    state.PauseTiming();
    text_mb = 0;
    for (const auto& module : registry->Current()->modules) {
      text_mb += static_cast<double>(module->limit - module->start) / 1e6;
    }
    table_bytes = registry->stats().table_bytes;
    state.ResumeTiming();
  }
  state.counters["text_mb"] = text_mb;
  state.counters["table_mb"] = static_cast<double>(table_bytes) / 1e6;
  state.counters["seconds_per_text_mb"] = benchmark::Counter(
      text_mb, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

constexpr int kColdIterations = 40;

BENCHMARK_CAPTURE(Hot, tables, WithTables, true)->Arg(21)->Arg(63);
BENCHMARK_CAPTURE(Hot, tables_unknown_stack, WithTables, false)->Arg(21)->Arg(63);
BENCHMARK_CAPTURE(Hot, unw_step, WithUnwStep, true)->Arg(21)->Arg(63);
BENCHMARK_CAPTURE(Hot, unw_backtrace, WithUnwBacktrace, true)->Arg(21)->Arg(63);
BENCHMARK_CAPTURE(Hot, unwind_backtrace, WithUnwindBacktrace, true)->Arg(21)->Arg(63);
#define OTELPROF_COLD Arg(21)->Arg(63)->UseManualTime()->Iterations(kColdIterations)
BENCHMARK_CAPTURE(Cold, tables, WithTables)->OTELPROF_COLD;
BENCHMARK_CAPTURE(Cold, unw_step, WithUnwStep)->OTELPROF_COLD;
BENCHMARK_CAPTURE(Cold, unw_backtrace, WithUnwBacktrace)->OTELPROF_COLD;
BENCHMARK_CAPTURE(Cold, unwind_backtrace, WithUnwindBacktrace)->OTELPROF_COLD;
BENCHMARK_CAPTURE(BuildTables, own_modules, nullptr)->Iterations(10)->Unit(benchmark::kMillisecond);
// Last: what it loads stays.
BENCHMARK_CAPTURE(BuildTables, with_llvm, "libLLVM-14.so.1")
    ->Iterations(5)
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
