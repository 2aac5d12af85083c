// Walks real stacks: code of several compilers and options, one instruction at a time, and the
// special places where a signal can strike.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "src/pprof/handler/walk.h"
#include "src/pprof/unwind/module_registry.h"
#include "src/pprof/unwind/single_step.h"

namespace pprof::unwind {
namespace {

using handler::StackBounds;
using handler::WalkEnd;
using handler::WalkResult;
using Frames = std::vector<std::uint64_t>;

ModuleRegistry& Registry() {
  static ModuleRegistry& registry = *new ModuleRegistry();
  return registry;
}

StackBounds OwnStack() {
  pthread_attr_t attributes;
  void* low = nullptr;
  std::size_t size = 0;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &low, &size);
  pthread_attr_destroy(&attributes);
  const auto start = reinterpret_cast<std::uintptr_t>(low);
  return {start, start + size};
}

std::string Describe(std::uint64_t pc) {
  Dl_info info = {};
  char text[512];
  if (dladdr(reinterpret_cast<void*>(pc), &info) == 0) return "?";
  std::snprintf(
      text, sizeof text, "%s+0x%llx %s", info.dli_fname,
      static_cast<unsigned long long>(pc - reinterpret_cast<std::uint64_t>(info.dli_fbase)),
      info.dli_sname == nullptr ? "" : info.dli_sname);
  return text;
}

// The code of the loaded library whose path holds `name`.
CodeSpan CodeOf(const std::string& name) {
  for (const auto& module : Registry().Current()->modules) {
    if (module->path.find(name) != std::string::npos) return {module->start, module->limit};
  }
  ADD_FAILURE() << name << " is not loaded";
  return {0, 0};
}

struct Library {
  explicit Library(const std::string& path, int flags = RTLD_NOW)
      : handle(dlopen(path.c_str(), flags | RTLD_LOCAL)) {
    if (handle == nullptr) ADD_FAILURE() << dlerror();
  }
  ~Library() { dlclose(handle); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  template <class Function>
  Function Find(const char* name) const {
    return reinterpret_cast<Function>(dlsym(handle, name));
  }
  void* handle;
};

std::vector<std::string> ShapeLibraries() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(SHAPES_DIR)) {
    if (entry.path().extension() == ".so") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

void Report(const std::string& name, const StepResult& result) {
  std::printf("%-24s %7llu stops, %u deep, %llu not equal; apart %llu stops, %llu not equal\n",
              name.c_str(), static_cast<unsigned long long>(result.steps), result.deepest,
              static_cast<unsigned long long>(result.mismatches),
              static_cast<unsigned long long>(result.apart_steps),
              static_cast<unsigned long long>(result.apart_mismatches));
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(result.mismatches, 32); ++i) {
    const StepMismatch& stop = result.first[i];
    std::printf("    %s: %u of %u frames, end %d\n", Describe(stop.pc).c_str(), stop.frames,
                stop.depth, static_cast<int>(stop.end));
  }
}

void Add(const StepResult& result, StepResult* total) {
  total->steps += result.steps;
  total->mismatches += result.mismatches;
  total->apart_steps += result.apart_steps;
  total->apart_mismatches += result.apart_mismatches;
}

// The exception runtime is counted apart: before it lands in a handler it overwrites the saved
// registers of its own frame with the handler's, and its call-frame information does not say so.
TEST(StackWalk, EqualsTheTruthAtEveryInstruction) {
  const StackBounds stack = OwnStack();
  StepResult total;
  for (const std::string& path : ShapeLibraries()) {
    const Library library(path);
    Registry().Refresh();
    const auto run = library.Find<long (*)()>("RunShapes");
    ASSERT_NE(run, nullptr);
    run();  // binds what the C++ library itself calls for the first time
    const StepResult result = StepThrough(run, stack, {CodeOf("/libgcc_s.so")});
    Report(std::filesystem::path(path).stem().string(), result);
    EXPECT_GT(result.steps, 10'000u);
    EXPECT_GT(result.deepest, 20u);
    EXPECT_GT(result.apart_steps, 1'000u);
    Add(result, &total);
  }
  const auto percent = [](std::uint64_t part, std::uint64_t all) {
    return 100.0 - 100.0 * static_cast<double>(part) / static_cast<double>(all);
  };
  std::printf("all: %llu stops, %.4f %% complete and equal to the truth; exceptions: %.2f %%\n",
              static_cast<unsigned long long>(total.steps), percent(total.mismatches, total.steps),
              percent(total.apart_mismatches, total.apart_steps));
  EXPECT_GT(total.steps, 100'000u);
  EXPECT_LE(total.mismatches * 1000, total.steps);
  EXPECT_LE(total.apart_mismatches * 20, total.apart_steps);
}

// Calls through stubs that the loader still has to bind. Its resolver, counted apart, keeps its
// frame in a register that its callees save where no row says; the stubs before and behind it are
// right.
TEST(StackWalk, EqualsTheTruthInStubsThatAreBoundLazily) {
  const Library library(ShapeLibraries().front(), RTLD_LAZY);
  Registry().Refresh();
  const StepResult result = StepThrough(library.Find<long (*)()>("RunShapes"), OwnStack(),
                                        {CodeOf("/ld-linux"), CodeOf("/libgcc_s.so")});
  Report("lazily bound", result);
  EXPECT_GT(result.steps, 10'000u);
  EXPECT_LE(result.mismatches * 1000, result.steps);
}

// What the handlers below saw; one signal at a time.
struct Seen {
  std::uint64_t outer[512], inner[512];
  WalkResult outer_result, inner_result;
  StackBounds stack;
};
Seen g_seen;

void OnInner(int, siginfo_t*, void* context) {
  g_seen.inner_result =
      handler::Walk(*static_cast<const ucontext_t*>(context), g_seen.stack, g_seen.inner, 512);
}

void OnOuter(int, siginfo_t*, void* context) {
  g_seen.outer_result =
      handler::Walk(*static_cast<const ucontext_t*>(context), g_seen.stack, g_seen.outer, 512);
  raise(SIGUSR2);
  asm volatile("" ::: "memory");  // not a tail call: this frame is looked for
}

void Handle(int signal, void (*handler)(int, siginfo_t*, void*), int flags) {
  struct sigaction action = {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | flags;
  ASSERT_EQ(sigaction(signal, &action, nullptr), 0);
}

// A signal inside a signal handler: the inner stack is the handler's frames, then the outer stack.
void ExpectInnerEndsWithOuter() {
  ASSERT_EQ(g_seen.outer_result.end, WalkEnd::kComplete);
  ASSERT_EQ(g_seen.inner_result.end, WalkEnd::kComplete);
  const Frames outer(g_seen.outer, g_seen.outer + g_seen.outer_result.frames);
  const Frames inner(g_seen.inner, g_seen.inner + g_seen.inner_result.frames);
  ASSERT_GT(inner.size(), outer.size() + 2);
  EXPECT_TRUE(std::equal(outer.rbegin(), outer.rend(), inner.rbegin()));
  // The handler's own frame, and the trampoline at its very first byte.
  const auto handler_start = reinterpret_cast<std::uint64_t>(&OnOuter);
  const std::size_t trampoline = inner.size() - outer.size() - 1;
  EXPECT_GE(inner[trampoline - 1], handler_start);
  EXPECT_LT(inner[trampoline - 1], handler_start + 0x200);
  EXPECT_EQ(*reinterpret_cast<const std::uint32_t*>(inner[trampoline]), 0x0fc0c748u)
      << "mov $15, %rax: the call of rt_sigreturn";
}

TEST(StackWalk, SeesThroughASignalHandler) {
  g_seen = {};
  g_seen.stack = OwnStack();
  Registry().Refresh();
  Handle(SIGUSR1, OnOuter, 0);
  Handle(SIGUSR2, OnInner, 0);
  raise(SIGUSR1);
  ExpectInnerEndsWithOuter();
}

TEST(StackWalk, SeesThroughASignalHandlerOnAnAlternateStack) {
  alignas(16) static char room[1 << 16];
  stack_t alternate = {};
  alternate.ss_sp = room;
  alternate.ss_size = sizeof room;
  stack_t previous = {};
  ASSERT_EQ(sigaltstack(&alternate, &previous), 0);
  g_seen = {};
  g_seen.stack = OwnStack();
  Registry().Refresh();
  Handle(SIGUSR1, OnOuter, SA_ONSTACK);
  Handle(SIGUSR2, OnInner, 0);
  raise(SIGUSR1);
  sigaltstack(&previous, nullptr);
  ExpectInnerEndsWithOuter();
}

void RaiseInner() { raise(SIGUSR2); }

TEST(StackWalk, KeepsTheLeafmostFramesOfDeepRecursion) {
  const Library library(ShapeLibraries().front());
  Registry().Refresh();
  const auto run = library.Find<long (*)(long, void (*)())>("RunDeep");
  ASSERT_NE(run, nullptr);
  g_seen = {};
  g_seen.stack = OwnStack();
  Handle(SIGUSR2, OnInner, 0);
  run(10'000, RaiseInner);
  EXPECT_EQ(g_seen.inner_result.end, WalkEnd::kTruncated);
  ASSERT_EQ(g_seen.inner_result.frames, 512u);
  EXPECT_EQ(g_seen.inner[511], g_seen.inner[100]) << "the recursive call";
  run(100, RaiseInner);
  EXPECT_EQ(g_seen.inner_result.end, WalkEnd::kComplete);
  g_seen.stack = {};  // the same without knowing the stack
  run(100, RaiseInner);
  EXPECT_EQ(g_seen.inner_result.end, WalkEnd::kComplete);
}

// Contexts of the C library: a stack that nobody announced, on the heap.
ucontext_t g_main_context;
ucontext_t g_fiber_context;

void RunFiber() {
  for (int i = 0; i < 2; ++i) {
    raise(SIGUSR2);
    swapcontext(&g_fiber_context, &g_main_context);
  }
}

// The C library's entry of a context has no call-frame information that ends the stack, so the walk
// says that it is not complete; all frames of the fiber are there, and none of the resumer's.
TEST(StackWalk, WalksFibersToTheirFirstFunction) {
  Registry().Refresh();
  std::vector<char> room(1 << 17);
  ASSERT_EQ(getcontext(&g_fiber_context), 0);
  g_fiber_context.uc_stack.ss_sp = room.data();
  g_fiber_context.uc_stack.ss_size = room.size();
  g_fiber_context.uc_link = &g_main_context;
  makecontext(&g_fiber_context, RunFiber, 0);
  Handle(SIGUSR2, OnInner, 0);
  for (int i = 0; i < 2; ++i) {
    g_seen = {};
    g_seen.stack = OwnStack();  // of the thread, not of the fiber
    swapcontext(&g_main_context, &g_fiber_context);
    EXPECT_EQ(g_seen.inner_result.end, WalkEnd::kNoRow);
    ASSERT_GE(g_seen.inner_result.frames, 3u);
    const std::uint64_t first = g_seen.inner[g_seen.inner_result.frames - 2];
    EXPECT_GE(first, reinterpret_cast<std::uint64_t>(&RunFiber));
    EXPECT_LT(first, reinterpret_cast<std::uint64_t>(&RunFiber) + 0x100);
  }
}

// What a thread and its sampling handler share.
struct Storm {
  std::atomic<std::uint64_t> walks{0}, complete{0};
  std::atomic<int> in_handler{0};
};
Storm g_storm;

void OnStorm(int, siginfo_t*, void* context) {
  g_storm.in_handler.fetch_add(1, std::memory_order_seq_cst);
  std::uint64_t frames[512];
  const WalkResult result =
      handler::Walk(*static_cast<const ucontext_t*>(context), {}, frames, 512);
  g_storm.walks.fetch_add(1);
  if (result.end == WalkEnd::kComplete) g_storm.complete.fetch_add(1);
  g_storm.in_handler.fetch_sub(1, std::memory_order_seq_cst);
}

// Loads, uses and unloads a library until it has been walked often enough.
void LoadAndUnload(const std::string& path, std::uint64_t walks) {
  while (g_storm.walks.load() < walks) {
    const Library library(path);
    library.Find<long (*)()>("RunShapes")();
  }
}

TEST(StackWalk, SurvivesLibrariesThatComeAndGo) {
  constexpr std::uint64_t kWalks = 1'000;
  Registry().Refresh();
  Handle(SIGUSR2, OnStorm, SA_RESTART);
  const auto libraries = ShapeLibraries();
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 2; ++i) {
    threads.emplace_back(LoadAndUnload, libraries[i % libraries.size()], kWalks);
  }
  std::uint64_t refreshed = 0;
  while (g_storm.walks.load() < kWalks) {
    for (std::thread& thread : threads) pthread_kill(thread.native_handle(), SIGUSR2);
    if (Registry().Refresh()) ++refreshed;
    if (g_storm.in_handler.load(std::memory_order_seq_cst) == 0) Registry().ReclaimRetired();
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("%llu walks, %.2f %% complete, %llu new tables\n",
              static_cast<unsigned long long>(g_storm.walks.load()),
              100.0 * static_cast<double>(g_storm.complete.load()) /
                  static_cast<double>(g_storm.walks.load()),
              static_cast<unsigned long long>(refreshed));
  EXPECT_GT(refreshed, 10u);
  EXPECT_GT(g_storm.complete.load(), 0u);
}

}  // namespace
}  // namespace pprof::unwind
