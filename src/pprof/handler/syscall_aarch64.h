// The system call instruction of aarch64: number in x8, arguments and result in x0 to x5; all other
// registers are kept (Linux, arch/arm64/kernel/entry.S).
#pragma once

namespace pprof::handler {

// Returns the kernel's result: a negative errno on failure. Async-signal-safe.
inline long RawSyscall4(long number, long a, long b, long c, long d) noexcept {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
}

}  // namespace pprof::handler
