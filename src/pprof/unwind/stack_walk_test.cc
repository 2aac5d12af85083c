// Walks real stacks at the special places where a signal can strike. Ordinary code, one instruction
// at a time: stack_step_test.cc.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "src/pprof/handler/walk.h"
#include "src/pprof/unwind/module_registry.h"
#include "src/pprof/unwind/shapes.h"

namespace pprof::unwind {
namespace {

using handler::StackBounds;
using handler::WalkEnd;
using handler::WalkResult;
using Frames = std::vector<std::uint64_t>;

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
#if defined(__x86_64__)
  constexpr std::uint32_t kLoadsNumberOfRtSigreturn = 0x0fc0c748;  // mov $15, %rax
#else
  constexpr std::uint32_t kLoadsNumberOfRtSigreturn = 0xd2801168;  // mov x8, #139
#endif
  EXPECT_EQ(*reinterpret_cast<const std::uint32_t*>(inner[trampoline]), kLoadsNumberOfRtSigreturn);
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

// The stack ends where the C library enters the context, and has none of the resumer's frames.
TEST(StackWalk, WalksContextsToTheirEntry) {
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
    EXPECT_EQ(g_seen.inner_result.end, WalkEnd::kComplete);
    ASSERT_GE(g_seen.inner_result.frames, 3u);
    const std::uint64_t first = g_seen.inner[g_seen.inner_result.frames - 2];
    EXPECT_GE(first, reinterpret_cast<std::uint64_t>(&RunFiber));
    EXPECT_LT(first, reinterpret_cast<std::uint64_t>(&RunFiber) + 0x100);
  }
}

#if defined(__x86_64__)
// A stack switched by hand, as coroutine libraries do it, with nothing mapped behind its end.
std::uint64_t g_thread_sp;
std::uint64_t g_hand_made_sp;

extern "C" void SwitchByHand(std::uint64_t* from, const std::uint64_t* to);
asm(".pushsection .text\n"
    ".type SwitchByHand, @function\n"
    "SwitchByHand:\n"
    "  push %rbp\n  push %rbx\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
    "  mov %rsp, (%rdi)\n"
    "  mov (%rsi), %rsp\n"
    "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbx\n  pop %rbp\n"
    "  ret\n"
    ".size SwitchByHand, . - SwitchByHand\n"
    ".popsection\n");

void RunByHand() {
  for (;;) {
    raise(SIGUSR2);
    SwitchByHand(&g_hand_made_sp, &g_thread_sp);
  }
}

// The six registers, then RunByHand as if it had been called by `caller`. Returns the end.
std::uint64_t* MakeStack(std::uint64_t* end, std::uint64_t frame_pointer, std::uint64_t caller) {
  std::uint64_t* sp = end;
  *--sp = caller;
  *--sp = reinterpret_cast<std::uint64_t>(&RunByHand);
  *--sp = frame_pointer;
  for (int i = 0; i < 5; ++i) *--sp = 0;
  g_hand_made_sp = reinterpret_cast<std::uint64_t>(sp);
  return end;
}

std::uint64_t g_hand_made_walks;

// At every instruction, with the bounds of a stack that the code may have left.
void WalkAtTrap(int, siginfo_t* info, void* argument) {
  auto& context = *static_cast<ucontext_t*>(argument);
  std::uint64_t frames[64];
  const WalkResult result = handler::Walk(context, g_seen.stack, frames, 64);
  ASSERT_GE(result.frames, 1u);
  ++g_hand_made_walks;
  if (info->si_code != TRAP_TRACE) context.uc_mcontext.gregs[REG_EFL] ^= 0x100;  // the breakpoints
}

TEST(StackWalk, SurvivesStacksMadeByHand) {
  constexpr std::size_t kBytes = 1 << 16;
  auto* const memory = static_cast<char*>(
      mmap(nullptr, kBytes + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  ASSERT_EQ(mprotect(memory + kBytes, 4096, PROT_NONE), 0);
  auto* const end = reinterpret_cast<std::uint64_t*>(memory + kBytes);
  Registry().Refresh();
  Handle(SIGUSR2, OnInner, 0);
  Handle(SIGTRAP, WalkAtTrap, SA_NODEFER);
  const auto address = reinterpret_cast<std::uint64_t>(end);
  const auto some_code = reinterpret_cast<std::uint64_t>(&MakeStack) + 8;
  for (const std::uint64_t frame_pointer :
       {std::uint64_t{0}, address, address - 8, address - 256}) {
    for (const std::uint64_t caller : {std::uint64_t{0}, some_code, std::uint64_t{0x1234}}) {
      MakeStack(end, frame_pointer, caller);
      g_seen = {};
      g_seen.stack = OwnStack();
      g_hand_made_walks = 0;
      asm volatile("int3" ::: "memory");
      SwitchByHand(&g_thread_sp, &g_hand_made_sp);
      asm volatile("int3" ::: "memory");
      EXPECT_GT(g_hand_made_walks, 50u);
      EXPECT_GE(g_seen.inner_result.frames, 3u);
      EXPECT_EQ(g_seen.inner_result.end == WalkEnd::kComplete, caller == 0);
    }
  }
  signal(SIGTRAP, SIG_DFL);
  munmap(memory, kBytes + 4096);
}

#endif  // __x86_64__

struct WalkedTwice {
  handler::ThreadRules* rules;
  std::uint64_t call = 0;  // where the library called us
};

// From inside the library: the same with what the thread remembers as without.
int WalkTwice(void* argument) {
  auto& walked = *static_cast<WalkedTwice*>(argument);
  ucontext_t context;
  getcontext(&context);
  std::uint64_t frames[64], remembered[64];
  const WalkResult plain = handler::Walk(context, OwnStack(), frames, 64);
  const WalkResult result = handler::Walk(context, OwnStack(), remembered, 64, walked.rules);
  EXPECT_EQ(plain.end, WalkEnd::kComplete);
  EXPECT_EQ(result.end, plain.end);
  EXPECT_EQ(Frames(remembered, remembered + result.frames), Frames(frames, frames + plain.frames));
  walked.call = frames[1];
  return 0;
}

// dlclose, then dlopen of another library at the same address, with other frames.
TEST(StackWalk, RemembersNoRuleOfALibraryWhosePlaceAnotherOneHas) {
  handler::ThreadRules rules;
  WalkedTwice walked = {&rules};
  std::uint64_t call_before = 0;
  int same_place = 0;
  for (int i = 0; i < 10; ++i) {
    const std::string path = std::string(SHAPES_DIR) +
                             (i % 2 == 0 ? "/../same-place-1024.so" : "/../same-place-2048.so");
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    ASSERT_TRUE(Registry().Refresh());
    using Call = int (*)(int (*)(void*), void*);
    const auto call = reinterpret_cast<Call>(dlsym(library, "CallWithFrame"));
    ASSERT_NE(call, nullptr);
    for (int round = 0; round < 2; ++round) EXPECT_EQ(call(WalkTwice, &walked), 1);
    same_place += walked.call == call_before;
    call_before = walked.call;
    dlclose(library);
    if (i % 3 == 0) Registry().Refresh();  // sometimes seen between the two, sometimes not
    if (i % 3 != 1) Registry().ReclaimRetired();
  }
#ifdef __aarch64__
  if (same_place == 0) GTEST_SKIP() << "qemu gives addresses in turn: none came twice";
#endif
  EXPECT_GT(same_place, 0) << "no library came to the place of the other: nothing was tested";
}

// What a thread and its sampling handler share.
struct Storm {
  std::atomic<std::uint64_t> walks{0}, complete{0};
  std::atomic<int> in_handler{0};
  std::atomic<bool> over{false};
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

// Loads, uses and unloads a library until the storm is over.
void LoadAndUnload(const std::string& path) {
  while (!g_storm.over.load()) {
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
    threads.emplace_back(LoadAndUnload, libraries[i % libraries.size()]);
  }
  std::uint64_t refreshed = 0;
  // Signals may be faster than loading: then it goes on until enough was loaded, or for a minute.
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (g_storm.walks.load() < kWalks ||
         (refreshed <= 10 && std::chrono::steady_clock::now() < end)) {
    for (std::thread& thread : threads) pthread_kill(thread.native_handle(), SIGUSR2);
    if (Registry().Refresh()) ++refreshed;
    if (g_storm.in_handler.load(std::memory_order_seq_cst) == 0) Registry().ReclaimRetired();
    std::this_thread::yield();
  }
  g_storm.over = true;
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
