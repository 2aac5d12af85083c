// The system call instruction of aarch64: number in x8, arguments in x0 to x5, result in x0; all
// other registers are kept (Linux, arch/arm64/kernel/entry.S).
#pragma once

namespace pprof::handler {

// Returns the kernel's result: a negative errno on failure. Async-signal-safe.
inline long RawSyscall6(long number, long a, long b, long c, long d, long e, long f) noexcept {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc #0"
               : "+r"(x0)
               : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
               : "memory");
  return x0;
}

inline long RawSyscall4(long number, long a, long b, long c, long d) noexcept {
  return RawSyscall6(number, a, b, c, d, 0, 0);
}

}  // namespace pprof::handler
