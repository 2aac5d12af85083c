// What one thread's last walks looked up: the rules at return addresses, and the module of the
// interrupted code. Lies in the thread's ring, a kilobyte in one piece, which the handler asks for
// as soon as it runs: what the work has swept out of the processor's caches then comes back at
// once, behind a single TLB miss, instead of line by line as the walk goes on.
//
// Holds for one generation of tables, see Begin. Zero-filled memory is an empty one.
#pragma once

#include <cstdint>

#include "src/pprof/handler/unwind_table.h"

namespace pprof::handler {

// Used by the handler of one thread at a time. Async-signal-safe.
class ThreadRules {
 public:
  // Forgets everything unless it was learned from `table`. First call of a walk.
  void Begin(const UnwindTable& table) noexcept {
    used_ = 0;
    if (generation_ == table.generation) return;
    for (Line& line : lines_) {
      line = {};
      asm volatile("" ::: "memory");  // keeps the compiler from calling memset
    }
    module = {};
    generation_ = table.generation;
  }

  // The rule at `pc`; 0: not known.
  std::uint32_t Find(std::uint64_t pc) noexcept {
    const std::uint32_t index = LineOf(pc);
    used_ |= std::uint64_t{1} << index;
    const Line& line = lines_[index];
    for (std::uint32_t i = 0; i < kWays; ++i) {
      if (line.pcs[i] == pc) return line.rules[i];
    }
    return 0;
  }

  void Remember(std::uint64_t pc, std::uint32_t rule) noexcept {
    Line& line = lines_[LineOf(pc)];
    const std::uint32_t way = line.next;
    line.pcs[way] = pc;
    line.rules[way] = rule;
    line.next = way + 1 < kWays ? way + 1 : 0;
  }

  // Asks for what the last walk looked at.
  [[gnu::always_inline]] void Prefetch() const noexcept {
    __builtin_prefetch(&generation_);
    for (std::uint64_t left = used_; left != 0; left &= left - 1) {
      __builtin_prefetch(&lines_[__builtin_ctzll(left)]);
    }
  }

  // Of the code that was interrupted last; limit 0: none.
  UnwindModule module{};

 private:
  static constexpr std::uint32_t kLines = 48;
  static constexpr std::uint32_t kWays = 5;

  struct alignas(64) Line {
    std::uint64_t pcs[kWays] = {};
    std::uint32_t rules[kWays] = {};
    std::uint32_t next = 0;  // the way that is overwritten next
  };

  static std::uint32_t LineOf(std::uint64_t pc) noexcept {
    const std::uint32_t hash = static_cast<std::uint32_t>(pc) * 0x9e3779b1u;
    return static_cast<std::uint32_t>(std::uint64_t{hash} * kLines >> 32);
  }

  std::uint64_t generation_ = 0;
  std::uint64_t used_ = 0;  // lines that the last walk looked at, a bit each
  Line lines_[kLines];
};

}  // namespace pprof::handler
