// Runs code one instruction at a time in this process: the trap flag of x86-64 raises SIGTRAP after
// each instruction, and a check runs in that handler, as a profiling signal at this very
// instruction would.
#pragma once

#include <signal.h>

#include <cstdint>

namespace test {

inline void (*g_at_each_step)() = nullptr;
inline volatile std::uint64_t g_steps = 0;

inline void OnTrap(int, siginfo_t*, void*) {
  g_steps = g_steps + 1;
  g_at_each_step();
}

// Trap flag: bit 8 of rflags (Intel SDM, volume 3, 2.3). Inline, so that no call stands between it
// and the code.
[[gnu::always_inline]] inline void StepOn() {
  asm volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
}
[[gnu::always_inline]] inline void StepOff() {
  asm volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
}

// Calls check() after every instruction of body(). Returns the number of instructions. check() must
// be async-signal-safe.
template <class Body>
[[gnu::noinline]] std::uint64_t SingleStep(Body&& body, void (*check)()) {
  struct sigaction ours = {};
  struct sigaction before = {};
  ours.sa_sigaction = OnTrap;
  ours.sa_flags = SA_SIGINFO;
  sigaction(SIGTRAP, &ours, &before);
  g_at_each_step = check;
  g_steps = 0;
  StepOn();
  body();
  StepOff();
  sigaction(SIGTRAP, &before, nullptr);
  return g_steps;
}

}  // namespace test
