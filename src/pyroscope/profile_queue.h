// Profiles that wait to be sent, oldest first, bounded by bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "src/pyroscope/clock.h"

namespace pyroscope::internal {

struct QueuedProfile {
  std::string request;        // encoded once, so that every try sends the same bytes
  std::size_t raw_bytes = 0;  // before compression, with the labels: what servers limit by
  std::uint64_t samples = 0;
  std::uint64_t window = 0;  // number of the window it is from
  // Set by the queue.
  std::uint64_t number = 0;
  // Over its tries so far.
  int tries = 0;             // begun
  int tries_that_count = 0;  // after which the server had seen the bytes (Verdict::counts)
  TimePoint first_failure;   // the first of those
  bool maybe_taken = false;
  TimePoint not_before;  // of the next one
};

// Not thread-safe: its owner locks.
class ProfileQueue {
 public:
  explicit ProfileQueue(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  // Returns what had to go for it: the oldest that are not being sent, or `profile` itself if there
  // is no other way. May throw std::bad_alloc, then without effect.
  std::vector<QueuedProfile> Add(QueuedProfile profile);

  // Takes out the profile to send next: the one that the server has refused the fewest times, then
  // the oldest. So one that is never taken cannot keep the others waiting. Nothing if none is due.
  // The caller gives it to PutBack or Settle.
  std::optional<QueuedProfile> Take(TimePoint now);
  // Of what Take would give, the bytes before compression; 0 if none is due.
  std::size_t NextRawBytes(TimePoint now);
  // Puts it back to its place by age.
  void PutBack(QueuedProfile profile);
  // Forgets what Take gave.
  void Settle(const QueuedProfile& profile);

  // When Take will give something; nothing if it is empty.
  std::optional<TimePoint> NextDue() const;
  // All are due at once.
  void ForgetDelays();
  // Takes out everything that is not being sent.
  std::deque<QueuedProfile> Clear();

  bool empty() const { return waiting_.empty(); }
  // Waiting or being sent.
  std::size_t size() const { return waiting_.size() + (sending_bytes_ > 0 ? 1 : 0); }
  std::size_t bytes() const { return bytes_; }
  // The oldest window of which something waits or is being sent; nothing if all is settled.
  std::optional<std::uint64_t> OldestWindow() const;

 private:
  static std::size_t BytesOf(const QueuedProfile& profile);
  std::deque<QueuedProfile>::iterator Best(TimePoint now);

  const std::size_t max_bytes_;
  std::deque<QueuedProfile> waiting_;  // by number
  std::size_t bytes_ = 0;              // of all, also of what is being sent
  std::size_t sending_bytes_ = 0;
  std::uint64_t sending_window_ = 0;
  std::uint64_t next_number_ = 0;
};

}  // namespace pyroscope::internal
