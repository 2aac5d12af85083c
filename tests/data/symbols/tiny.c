// The smallest program with inlined functions, a static one and a label without size. The fuzz seeds
// in tests/corpus/symbolize_fuzz are built from it; README.md beside this file says how.
static inline __attribute__((always_inline)) int Twice(int x) { return x * 2; }
static __attribute__((noinline)) int Local(int x) { return Twice(x) + 1; }
int Exported(int x) { return Local(x) + Twice(x); }
void _start(void) {
  for (;;) Exported(1);
}
__asm__(".text\n.globl Bare\nBare:\n ret\n");
