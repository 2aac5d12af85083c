#include "src/pprof/sampler/cpu_books.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "src/pprof/sampler/timer.h"

namespace pprof::sampler {

void CpuBooks::Reset(std::int64_t period_ns) noexcept {
  period_ns_ = period_ns;
  std::fill(std::begin(balance_ns_), std::end(balance_ns_), 0);
}

void CpuBooks::Add(Special frame, std::int64_t ns) noexcept {
  Balance(frame) += ns;
  if (frame != Special::kExitCorrection && frame != Special::kExitEstimated) {
    return Owe(frame, Balance(frame) / period_ns_);
  }
  // These two share their rest, so that the total lacks one period at most.
  std::int64_t& measured = Balance(Special::kExitCorrection);
  std::int64_t& estimated = Balance(Special::kExitEstimated);
  const std::int64_t due = (measured + estimated) / period_ns_;
  if (due <= 0) return;
  const std::int64_t of_estimate =
      std::clamp((estimated + period_ns_ / 2) / period_ns_, std::int64_t{0}, due);
  Owe(Special::kExitEstimated, of_estimate);
  Owe(Special::kExitCorrection, due - of_estimate);
}

void CpuBooks::Owe(Special frame, std::int64_t weight) noexcept {
  if (weight <= 0) return;
  Balance(frame) -= weight * period_ns_;
  Owed due = {static_cast<std::uint64_t>(MonotonicNs()), frame, static_cast<std::uint64_t>(weight)};
  try {
    owed_.push_back(due);
  } catch (...) {
    Owed& overflow = overflow_[static_cast<std::size_t>(frame)];
    due.weight += overflow.weight;
    overflow = due;
  }
}

void CpuBooks::TakeOwed(std::vector<Owed>* owed) {
  owed->reserve(owed->size() + owed_.size() + kFrames);
  owed->insert(owed->end(), owed_.begin(), owed_.end());
  owed_.clear();
  for (Owed& overflow : overflow_) {
    if (overflow.weight > 0) owed->push_back(overflow);
    overflow.weight = 0;
  }
}

std::int64_t ExitTail::Share(std::int64_t fresh_ns) noexcept {
  interval_exits_ += exits_;
  interval_ns_ += fresh_ns;
  if (interval_exits_ >= kEnoughExits) Learn(interval_ns_ / interval_exits_);
  return std::min(fresh_ns, std::exchange(exits_, 0) * per_exit_ns());
}

void ExitTail::Learn(std::int64_t per_exit_ns) noexcept {
  if (!disturbed_) learned_ns_[learned_++ % kIntervals] = per_exit_ns;
  interval_exits_ = interval_ns_ = 0;
  disturbed_ = false;
}

std::int64_t ExitTail::per_exit_ns() const noexcept {
  const int known = std::min(learned_, kIntervals);
  if (known == 0) return kMostNs;
  std::int64_t sorted[kIntervals];
  std::copy(learned_ns_, learned_ns_ + known, sorted);
  std::nth_element(sorted, sorted + known / 4, sorted + known);
  return std::min(sorted[known / 4], kMostNs);
}

}  // namespace pprof::sampler
