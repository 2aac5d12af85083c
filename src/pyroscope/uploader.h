// Sends queued profiles to the server, one at a time, until each is accepted or given up. Owns the
// queue, the retries and what is logged and counted about them.
#pragma once

#include <pprof/status.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "src/pyroscope/clock.h"
#include "src/pyroscope/failure_log.h"
#include "src/pyroscope/http_client.h"
#include "src/pyroscope/pace.h"
#include "src/pyroscope/profile_queue.h"
#include "src/pyroscope/text.h"
#include "src/pyroscope/verdict.h"

namespace pyroscope::internal {

// Fixed for users; tests shorten the times.
struct Tuning {
  HttpTimeouts http;
  // Ten minutes of 15 s windows with 3,000 samples each: 40 profiles of up to 400 KiB, compressed.
  std::size_t queue_bytes = std::size_t{16} << 20;
  Backoff backoff;
  // A longer Retry-After is not obeyed: the queue holds about ten minutes.
  std::chrono::seconds max_retry_after{300};
  // Half of what a Pyroscope server lets a tenant send by default (4 MB/s, bursts of 2 MiB).
  double bytes_per_second = 2e6;
  std::size_t burst_bytes = std::size_t{1} << 20;
  // A profile is given up when the server has failed on it so often, and either took others since
  // or has failed for so long: ten minutes of outage lose nothing. Those that it failed on the
  // fewest times go first.
  int max_tries_that_count = 8;
  std::chrono::milliseconds patience = std::chrono::minutes(10);
  std::chrono::milliseconds log_interval = std::chrono::minutes(1);
};

// What did not reach the server since Finish was announced.
struct Losses {
  std::uint64_t refused = 0;  // profiles that the server refused, or failed on too often
  std::uint64_t unsent = 0;   // profiles for which the time did not suffice
  std::uint64_t unsent_samples = 0;
  std::uint64_t unsent_bytes = 0;
  std::string last_problem;  // fit for a message
};

// Any thread, but for Run.
class Uploader {
 public:
  // `redactor`: what log lines must not hold. `address`: of the server, for log lines.
  Uploader(std::unique_ptr<HttpClient> http, Redactor redactor, std::string address,
           const Tuning& tuning, std::uint64_t seed);

  // The thread that sends. Returns after Finish when nothing is left, or after Abort.
  void Run() noexcept;

  // Takes over the profiles of one window.
  void Add(std::vector<QueuedProfile> profiles) noexcept;
  // True when all profiles of this window and those before it are accepted or given up.
  bool WaitSettled(std::uint64_t window, TimePoint deadline);

  // The end comes: what is queued is tried at once and without the usual pace, and is given up when
  // the next try would come after `deadline`.
  void Hurry(TimePoint deadline);
  // Nothing more will be added.
  void Finish();
  // Ends a running request and gives up all that is queued.
  void Abort() noexcept;
  Losses ReadLosses();

 private:
  std::optional<QueuedProfile> WaitForNext();
  std::optional<QueuedProfile> TakeOrWait(std::unique_lock<std::mutex>* lock, TimePoint now);
  Answer Post(const QueuedProfile& profile) noexcept;
  // mutex_ held. Each returns the line to log.
  std::string Conclude(QueuedProfile profile, const Verdict& verdict, const Answer& answer);
  std::string Accepted(const QueuedProfile& profile);
  bool IsHopeless(const QueuedProfile& profile) const;
  std::string TryLater(QueuedProfile profile, const Verdict& verdict, const Answer& answer);
  std::string GiveUp(const QueuedProfile& profile, const Verdict& verdict);
  std::string Line(const Verdict& verdict, const char* consequence);
  void DropAll() noexcept;
  void CountUnsent(const QueuedProfile& profile) noexcept;
  void UpdateGauges() noexcept;

  const std::unique_ptr<HttpClient> http_;
  const Redactor redactor_;
  const std::string address_;
  const Tuning tuning_;

  std::mutex mutex_;
  std::condition_variable changed_;
  ProfileQueue queue_;
  Pacer pacer_;
  Random random_;
  FailureLog log_;
  Losses losses_;
  int failures_in_a_row_ = 0;
  TimePoint last_accepted_{};
  TimePoint server_not_before_{};  // of the next try with whatever profile
  std::optional<TimePoint> deadline_;
  bool finishing_ = false;
  bool aborted_ = false;
};

}  // namespace pyroscope::internal
