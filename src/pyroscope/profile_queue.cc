#include "src/pyroscope/profile_queue.h"

#include <algorithm>
#include <utility>

namespace pyroscope::internal {

std::size_t ProfileQueue::BytesOf(const QueuedProfile& profile) {
  return profile.request.capacity() + sizeof(QueuedProfile);
}

std::vector<QueuedProfile> ProfileQueue::Add(QueuedProfile profile) {
  std::vector<QueuedProfile> dropped;
  const std::size_t size = BytesOf(profile);
  std::size_t needed = bytes_ + size;
  std::size_t victims = 0;
  while (needed > max_bytes_ && victims < waiting_.size()) {
    needed -= BytesOf(waiting_[victims++]);
  }
  if (needed > max_bytes_) {  // larger than the queue, or than what is not being sent
    dropped.push_back(std::move(profile));
    return dropped;
  }
  dropped.reserve(victims);
  profile.number = next_number_++;
  waiting_.push_back(std::move(profile));
  bytes_ = needed;
  for (; victims > 0; --victims) {
    dropped.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return dropped;
}

std::deque<QueuedProfile>::iterator ProfileQueue::Best(TimePoint now) {
  auto best = waiting_.end();
  for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
    if (it->not_before > now) continue;
    if (best == waiting_.end() || it->tries_that_count < best->tries_that_count) best = it;
  }
  return best;
}

std::optional<QueuedProfile> ProfileQueue::Take(TimePoint now) {
  const auto best = Best(now);
  if (best == waiting_.end()) return std::nullopt;
  QueuedProfile profile = std::move(*best);
  waiting_.erase(best);
  sending_bytes_ = BytesOf(profile);
  sending_window_ = profile.window;
  return profile;
}

std::size_t ProfileQueue::NextRawBytes(TimePoint now) {
  const auto best = Best(now);
  return best == waiting_.end() ? 0 : best->raw_bytes;
}

void ProfileQueue::PutBack(QueuedProfile profile) {
  sending_bytes_ = 0;
  const auto place = std::lower_bound(
      waiting_.begin(), waiting_.end(), profile.number,
      [](const QueuedProfile& waiting, std::uint64_t number) { return waiting.number < number; });
  waiting_.insert(place, std::move(profile));
}

void ProfileQueue::Settle(const QueuedProfile& profile) {
  sending_bytes_ = 0;
  bytes_ -= BytesOf(profile);
}

std::optional<TimePoint> ProfileQueue::NextDue() const {
  if (waiting_.empty()) return std::nullopt;
  return std::min_element(waiting_.begin(), waiting_.end(),
                          [](const QueuedProfile& a, const QueuedProfile& b) {
                            return a.not_before < b.not_before;
                          })
      ->not_before;
}

void ProfileQueue::ForgetDelays() {
  for (QueuedProfile& profile : waiting_) profile.not_before = {};
}

std::deque<QueuedProfile> ProfileQueue::Clear() {
  for (const QueuedProfile& profile : waiting_) bytes_ -= BytesOf(profile);
  return std::exchange(waiting_, {});
}

std::optional<std::uint64_t> ProfileQueue::OldestWindow() const {
  std::optional<std::uint64_t> oldest;
  if (!waiting_.empty()) oldest = waiting_.front().window;
  if (sending_bytes_ > 0 && (!oldest || sending_window_ < *oldest)) oldest = sending_window_;
  return oldest;
}

}  // namespace pyroscope::internal
