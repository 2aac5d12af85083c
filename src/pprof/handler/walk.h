// Walks the stack of the interrupted code: table lookup, then the frame pointer where there is no
// row. No locks, no allocation, no system library; memory is read only inside the known stack or
// after a probe of its page.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

#include "src/pprof/handler/thread_rules.h"

namespace pprof::handler {

// Why a walk ended. Stored in a sample.
enum class WalkEnd : std::uint8_t {
  kComplete = 0,        // the thread's entry: undefined return address, or a return address of 0
  kTruncated = 1,       // `max` frames were written and there were more
  kNoRow = 2,           // no row for this pc, and the frame pointer led nowhere
  kBadRow = 3,          // a row that this library does not evaluate
  kUnreadable = 4,      // stack memory that could not be read
  kNotProgressing = 5,  // the next frame would not lie above this one
};

// The stack of a thread, [low, high); high = 0: not known, then every page is probed before it is
// read.
struct StackBounds {
  std::uintptr_t low = 0;
  std::uintptr_t high = 0;
};

struct WalkResult {
  std::uint32_t frames;
  WalkEnd end;
};

// Writes the program counters of the interrupted code, leaf first, to out[0..max): the leaf as
// interrupted, callers as (return address - 1), which lies inside the call instruction. `rules`:
// what this thread's walks remember; nullptr: nothing.
// Async-signal-safe.
WalkResult Walk(const ucontext_t& context, StackBounds stack, std::uint64_t* out, std::uint32_t max,
                ThreadRules* rules = nullptr) noexcept;

// Asks the processor for the memory that a walk from here will read, so that its cache misses
// overlap with each other and with what is done before the walk. Async-signal-safe.
void PrefetchWalk(const ucontext_t& context, const ThreadRules& rules) noexcept;

}  // namespace pprof::handler
