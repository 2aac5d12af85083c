// The system call instruction of x86-64: number and result in rax, arguments in rdi, rsi, rdx, r10;
// the kernel overwrites rcx and r11 (System V ABI, AMD64 supplement, A.2).
#pragma once

namespace pprof::handler {

// Returns the kernel's result: a negative errno on failure. Async-signal-safe.
inline long RawSyscall4(long number, long a, long b, long c, long d) noexcept {
  long result;
  register long r10 asm("r10") = d;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
               : "rcx", "r11", "memory");
  return result;
}

}  // namespace pprof::handler
