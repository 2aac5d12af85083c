// What the push client did and what it could not do, as counters.
#pragma once

#include <cstdint>

#include <pprof/export.h>

namespace pyroscope {

// Counts since process start (in a fork child: since the fork) over all profilers of the process,
// read at one instant. They only grow, but for profiles_queued and queue_bytes, which tell the
// present. Always:
//   profiles_taken = profiles_accepted + profiles_lost + profiles_unknown + profiles_queued
// and profiles_lost is the sum of the profiles_lost_* fields. A *sample* counts its weight.
struct Stats {
  std::uint64_t windows = 0;         // ended
  std::uint64_t windows_empty = 0;   // of those: held no sample, so nothing is sent
  std::uint64_t windows_failed = 0;  // of those: could not be read; their samples are missing

  std::uint64_t profiles_taken = 0;     // put into the queue
  std::uint64_t profiles_accepted = 0;  // the server said so
  std::uint64_t profiles_lost = 0;      // the server did not take them
  std::uint64_t profiles_unknown = 0;  // given up after an answer got lost or was 5xx: taken or not
  std::uint64_t profiles_queued = 0;   // waiting or being sent

  std::uint64_t profiles_lost_refused = 0;     // the server refused them for good
  std::uint64_t profiles_lost_given_up = 0;    // the server failed on the same bytes too often
  std::uint64_t profiles_lost_queue_full = 0;  // the oldest made room for newer ones
  std::uint64_t profiles_lost_unsent = 0;      // still queued when Stop's time was over

  std::uint64_t samples_taken = 0;
  std::uint64_t samples_accepted = 0;
  std::uint64_t samples_lost = 0;
  std::uint64_t samples_unknown = 0;

  std::uint64_t attempts = 0;    // requests begun
  std::uint64_t retries = 0;     // of those: not the first one of their profile
  std::uint64_t bytes_sent = 0;  // of request bodies, compressed
  std::uint64_t queue_bytes = 0;

  // How often something was changed so that the server takes the profile.
  std::uint64_t splits = 0;             // profiles beyond the first of a window
  std::uint64_t span_names_merged = 0;  // samples whose span_name became "other"
  std::uint64_t labels_dropped = 0;
  std::uint64_t strings_shortened = 0;
  std::uint64_t stacks_shortened = 0;
};

// Any thread. Not async-signal-safe.
PPROF_EXPORT Stats ReadStats() noexcept;

}  // namespace pyroscope
