// Runs a function one instruction at a time and compares, at each instruction, the walked stack
// with the true one. The truth needs no unwinder: whoever watches every instruction sees every call
// push its return address, and sees the stack pointer leave it behind. For tests; x86-64.
#pragma once

#include <cstdint>
#include <vector>

#include "src/pprof/handler/walk.h"

namespace pprof::unwind {

struct StepMismatch {
  std::uint64_t pc;
  std::uint32_t depth;   // frames of the true stack
  std::uint32_t frames;  // that the walk gave
  handler::WalkEnd end;
};

// A span of code, [start, limit).
struct CodeSpan {
  std::uint64_t start;
  std::uint64_t limit;
};

struct StepResult {
  std::uint64_t steps = 0;
  std::uint64_t mismatches = 0;
  // Stops with a true frame in the code that is counted apart; not in the two above.
  std::uint64_t apart_steps = 0;
  std::uint64_t apart_mismatches = 0;
  std::uint32_t deepest = 0;
  StepMismatch first[32] = {};
};

// Steps through run(). One caller at a time; takes over SIGTRAP. Not async-signal-safe.
StepResult StepThrough(long (*run)(), handler::StackBounds stack,
                       const std::vector<CodeSpan>& apart);

}  // namespace pprof::unwind
