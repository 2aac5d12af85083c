// Runs a function one instruction at a time and compares, at each instruction, the walked stack
// with the true one and with what another unwinder says. The truth needs no unwinder: whoever
// watches every instruction sees every call push its return address, and sees the stack pointer
// leave it behind. For tests; x86-64.
#pragma once

#include <ucontext.h>

#include <cstdint>
#include <vector>

#include "src/pprof/handler/walk.h"

namespace pprof::unwind {

// A span of code, [start, limit).
struct CodeSpan {
  std::uint64_t start;
  std::uint64_t limit;
};

struct StepCounts {
  std::uint64_t stops = 0;
  std::uint64_t wrong = 0;  // the walk is not complete or not equal to the truth
  std::uint64_t oracle_asked = 0;
  std::uint64_t oracle_entry = 0;     // the oracle came to the thread's entry,
  std::uint64_t oracle_differs = 0;   // and ours is another stack
  std::uint64_t oracle_wrong = 0;     // the oracle did not give the true stack
  std::uint64_t only_ours_wrong = 0;  // where the oracle gave the true stack

  void Add(const StepCounts& other);
};

// All stops at one pc.
struct StepPlace {
  std::uint64_t pc = 0;
  bool apart = false;  // with a true frame in the code that is counted apart
  StepCounts counts;
  // Of the last wrong stop.
  std::uint32_t depth = 0;   // frames of the true stack
  std::uint32_t frames = 0;  // that the walk gave
  handler::WalkEnd end{};
};

struct StepResult {
  StepCounts plain;
  StepCounts apart;  // stops with a true frame in the code that is counted apart
  std::uint32_t deepest = 0;
  std::vector<StepPlace> places;  // where anything was stepped, by pc
};

// As AskOracle (unwind_oracle.h).
using StepOracle = std::uint32_t (*)(const ucontext_t& context, std::uint64_t* out,
                                     std::uint32_t max);

struct StepOptions {
  handler::StackBounds stack;  // of the calling thread
  std::vector<CodeSpan> apart;
  StepOracle oracle = nullptr;
  std::uint64_t oracle_stops = ~std::uint64_t{0};  // asked at the first so many stops of each pc
};

// Steps through run(). One caller at a time; takes over SIGTRAP. Not async-signal-safe.
StepResult StepThrough(long (*run)(), const StepOptions& options);

}  // namespace pprof::unwind
