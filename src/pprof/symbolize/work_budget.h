// How much work may still be done for one module: hostile files can ask for the square of their
// size. Used by everything in this folder that loops over what a file says.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pprof::symbolize {

// Not async-signal-safe. One thread at a time.
class WorkBudget {
 public:
  explicit WorkBudget(std::uint64_t steps) : left_(steps) {}
  // Takes some steps; false once none are left.
  bool Step(std::uint64_t steps = 1) {
    left_ -= std::min(steps, left_);
    return left_ > 0;
  }
  void Grant(std::uint64_t steps) { left_ += steps; }
  bool exhausted() const { return left_ == 0; }

 private:
  std::uint64_t left_;
};

}  // namespace pprof::symbolize
