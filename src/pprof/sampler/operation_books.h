// The books of CPU time that was measured in first scopes (labels/first_scope.h): a balance for
// each operation, that is a span name and user labels without ids. Used by ThreadTimers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "src/pprof/handler/thread_record.h"

namespace pprof::sampler {

// Not thread-safe. Not async-signal-safe.
class OperationBooks {
 public:
  // As the handler writes it, but without frames and of kind kExitCorrection.
  using Sample = std::vector<std::uint64_t>;
  static constexpr std::size_t kMostOperations = 256;

  void Reset(std::int64_t period_ns) noexcept;
  // Adds to an operation's balance, with its sign. False: too many operations, or no memory.
  bool Add(const SpanName* name, const handler::LabelBlob* labels, std::int64_t ns) noexcept;
  // Each whole period in a balance becomes due. Only where a window begins or ends: a scope in
  // which the timer did expire makes its operation's balance negative until others make up for it,
  // and what is due cannot be taken back. Makes room: while there are half of the operations that
  // fit, those that a period is not due of keep theirs; beyond, their sum is returned.
  std::int64_t Settle() noexcept;
  // Forgets the operations; returns the sum of what they still had.
  std::int64_t Clear() noexcept;
  // Appends what became due since the last call. May throw std::bad_alloc, then it stays due.
  void TakeOwed(std::vector<Sample>* owed);

 private:
  std::int64_t period_ns_ = 1;
  std::map<Sample, std::int64_t> balances_ns_;
  std::vector<Sample> owed_;
};

}  // namespace pprof::sampler
