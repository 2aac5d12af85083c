// Functions of every shape that a compiler gives its frames. Built many times, by different
// compilers with different options; stack_walk_test.cc goes through them one instruction at a time.
#include <alloca.h>
#include <setjmp.h>
#include <time.h>

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#define NOINLINE __attribute__((noinline))
#define KEEP(value) asm volatile("" : "+r,m"(value) : : "memory")

namespace {

NOINLINE long Leaf(long a, long b) {
  volatile long red_zone[4] = {a, b, a ^ b, a + b};
  return red_zone[0] * red_zone[3] + red_zone[1];
}

NOINLINE long ManyRegisters(long a, long b, long c, long d, long e, long f, long g, long h) {
  long sum = 0;
  for (long i = 0; i < 3; ++i) {
    sum += Leaf(a + i, b) + Leaf(c, d + i) + Leaf(e + i, f) + Leaf(g, h + i);
    KEEP(sum);
  }
  return sum + a + b + c + d + e + f + g + h;
}

NOINLINE long Alloca(long n) {
  auto* room = static_cast<volatile char*>(alloca(static_cast<std::size_t>(n)));
  room[n - 1] = static_cast<char>(n);
  const long inner = Leaf(n, room[n - 1]);
  auto* more = static_cast<volatile char*>(alloca(static_cast<std::size_t>(inner & 63) + 1));
  more[0] = 1;
  return inner + more[0] + Leaf(1, n);
}

NOINLINE long Varargs(int count, ...) {
  va_list list;
  va_start(list, count);
  long sum = 0;
  for (int i = 0; i < count; ++i) {
    sum += i % 2 == 0 ? va_arg(list, long) : static_cast<long>(va_arg(list, double));
  }
  va_end(list);
  return Leaf(sum, count);
}

struct alignas(64) Wide {
  long words[16];
};

NOINLINE long FillWide(Wide* wide, long n) {
  for (long& word : wide->words) word = n++;
  return Leaf(wide->words[3], wide->words[15]);
}

NOINLINE long OverAligned(long n) {
  Wide wide;
  const long filled = FillWide(&wide, n);
  return filled + wide.words[n & 15];
}

NOINLINE long OverAlignedWithAlloca(long n, long a, long b, long c, long d, long e, long on_stack) {
  Wide wide;
  auto* room = static_cast<volatile char*>(alloca(static_cast<std::size_t>(n)));
  room[0] = 3;
  return FillWide(&wide, n + room[0]) + OverAligned(on_stack) + a + b + c + d + e;
}

NOINLINE long BigFrame(long n) {
  volatile char room[70000];
  room[n] = 1;
  return Leaf(room[n], n);
}

NOINLINE long ShrinkWrapped(long n) {
  if (n < 5) return n;
  std::string text(static_cast<std::size_t>(n), 'x');
  KEEP(n);
  return static_cast<long>(text.size()) + Leaf(n, 2);
}

NOINLINE long TailCall(long n) { return Leaf(n + 1, n); }

struct Guard {
  explicit Guard(long* counter) : counter_(counter) {}
  ~Guard() { *counter_ += Leaf(*counter_, 1); }
  long* counter_;
};

NOINLINE void Thrower(long n, long* counter) {
  const Guard guard(counter);
  if (n == 0) throw std::runtime_error("thrown");
  Thrower(n - 1, counter);
  KEEP(n);
}

NOINLINE long Exceptions() {
  long counter = 1;
  try {
    Thrower(3, &counter);
  } catch (const std::exception& error) {
    counter += static_cast<long>(std::strlen(error.what()));
  }
  return counter;
}

jmp_buf g_jump;
[[noreturn]] NOINLINE void JumpOut(long n) { longjmp(g_jump, static_cast<int>(n)); }

// The call is the last instruction of the function.
[[noreturn]] NOINLINE void NeverReturns(long n) {
  if (Leaf(n, n) != 0) JumpOut(n);
  JumpOut(n + 1);
}

NOINLINE long NoReturnCalls() {
  const volatile int value = setjmp(g_jump);
  if (value == 0) NeverReturns(7);
  return value;
}

int Compare(const void* a, const void* b) {
  const long left = *static_cast<const long*>(a);
  const long right = *static_cast<const long*>(b);
  return left < right ? -1 : left > right;
}

NOINLINE long Callbacks() {
  long values[] = {5, 2, 9, 1, 7, 3};
  std::qsort(values, 6, sizeof values[0], Compare);
  return Leaf(values[0], values[5]);
}

NOINLINE long Containers() {
  std::map<std::string, long> map;
  std::vector<long> vector;
  for (int i = 0; i < 6; ++i) {
    map["a key that is longer than the small string " + std::to_string(i % 3)] += i;
    vector.push_back(i * 7 % 5);
  }
  std::sort(vector.begin(), vector.end());
  return map.begin()->second + vector[2];
}

NOINLINE long Libc() {
  static char from[5000];
  static char to[5000];
  const volatile std::size_t size = 4500;  // not known to the compiler: a call, through the PLT
  std::memcpy(to, from, size);
  std::memset(from, 1, size);
  void* memory = std::malloc(size);
  KEEP(memory);
  std::free(memory);
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);  // the vDSO
  return now.tv_sec + std::strtol("123", nullptr, 10) + to[size - 1];
}

NOINLINE long Recursion(long n) {
  if (n == 0) return 1;
  const long below = Recursion(n - 1);
  return below + Leaf(n, below);
}

struct Base {
  virtual ~Base() = default;
  virtual long Call(long n) { return n; }
};
struct Derived : Base {
  long Call(long n) override { return Leaf(n, 3); }
};
NOINLINE long Virtual() {
  Derived derived;
  Base* base = &derived;
  KEEP(base);
  return base->Call(5);
}

NOINLINE double Doubles(double a, double b) {
  double sum = 0;
  for (int i = 0; i < 3; ++i) sum += a * static_cast<double>(Leaf(i, 2)) + b;
  return sum;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) long RunShapes() {
  long sum = ManyRegisters(1, 2, 3, 4, 5, 6, 7, 8) + Alloca(100) + Varargs(4, 1L, 2.0, 3L, 4.0);
  sum += OverAligned(2) + OverAlignedWithAlloca(50, 1, 2, 3, 4, 5, 6) + BigFrame(69000);
  sum += ShrinkWrapped(1) + ShrinkWrapped(100) + TailCall(1) + NoReturnCalls();
  sum += Callbacks() + Containers() + Libc() + Recursion(20) + Virtual() + Exceptions();
  return sum + static_cast<long>(Doubles(1, 2));
}

// Calls `at_bottom` below `depth` frames of its own.
extern "C" __attribute__((visibility("default"), noinline)) long RunDeep(long depth,
                                                                         void (*at_bottom)()) {
  if (depth == 0) {
    at_bottom();
    return 1;
  }
  return RunDeep(depth - 1, at_bottom) + Leaf(depth, 1);
}
