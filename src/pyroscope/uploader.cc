#include "src/pyroscope/uploader.h"

#include <curl/curl.h>

#include <algorithm>
#include <utility>

#include "src/pyroscope/counters.h"

namespace pyroscope::internal {
namespace {

constexpr std::size_t kMaxProblemBytes = 400;

// Adds to one of the profiles_lost_* fields, or to the unknown ones if an earlier try may have
// succeeded.
void CountLost(const QueuedProfile& profile, std::uint64_t Stats::*cause) noexcept {
  Count([&](Stats* stats) {
    if (profile.maybe_taken) {
      ++stats->profiles_unknown;
      stats->samples_unknown += profile.samples;
    } else {
      ++stats->profiles_lost;
      ++(stats->*cause);
      stats->samples_lost += profile.samples;
    }
    --stats->profiles_queued;
  });
}

void CountTaken(const QueuedProfile& profile) noexcept {
  Count([&](Stats* stats) {
    ++stats->profiles_taken;
    ++stats->profiles_queued;
    stats->samples_taken += profile.samples;
  });
}

}  // namespace

Uploader::Uploader(std::unique_ptr<HttpClient> http, Redactor redactor, std::string address,
                   const Tuning& tuning, std::uint64_t seed)
    : http_(std::move(http)),
      redactor_(std::move(redactor)),
      address_(std::move(address)),
      tuning_(tuning),
      queue_(tuning.queue_bytes),
      pacer_(tuning.bytes_per_second, tuning.burst_bytes),
      random_(seed),
      log_(tuning.log_interval) {}

void Uploader::UpdateGauges() noexcept {
  Count([&](Stats* stats) { stats->queue_bytes = queue_.bytes(); });
}

void Uploader::CountUnsent(const QueuedProfile& profile) noexcept {
  CountLost(profile, &Stats::profiles_lost_unsent);
  ++losses_.unsent;
  losses_.unsent_samples += profile.samples;
  losses_.unsent_bytes += profile.request.size();
}

void Uploader::Add(std::vector<QueuedProfile> profiles) noexcept {
  std::string line;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (QueuedProfile& profile : profiles) {
      CountTaken(profile);
      if (aborted_) {
        CountUnsent(profile);
        continue;
      }
      try {
        for (const QueuedProfile& dropped : queue_.Add(std::move(profile))) {
          CountLost(dropped, &Stats::profiles_lost_queue_full);
          line = log_.Failure("queue full",
                              "the queue of " + std::to_string(tuning_.queue_bytes >> 20) +
                                  " MiB is full: the oldest profiles are dropped until " +
                                  address_ + " takes profiles again",
                              Clock::now());
        }
      } catch (...) {  // no memory to queue it
        CountLost(profile, &Stats::profiles_lost_queue_full);
      }
    }
    UpdateGauges();
  }
  changed_.notify_all();
  Say(pprof::LogLevel::kError, line);
}

bool Uploader::WaitSettled(std::uint64_t window, TimePoint deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  return changed_.wait_until(lock, deadline, [&] {
    const std::optional<std::uint64_t> oldest = queue_.OldestWindow();
    return !oldest || *oldest > window;
  });
}

void Uploader::Hurry(TimePoint deadline) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    deadline_ = deadline;
    losses_ = {};
    failures_in_a_row_ = 0;
    server_not_before_ = {};
    queue_.ForgetDelays();
  }
  changed_.notify_all();
}

void Uploader::Finish() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    finishing_ = true;
  }
  changed_.notify_all();
}

void Uploader::Abort() noexcept {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    aborted_ = true;
    DropAll();
  }
  http_->Abort();
  changed_.notify_all();
}

Losses Uploader::ReadLosses() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return losses_;
}

void Uploader::DropAll() noexcept {
  for (const QueuedProfile& profile : queue_.Clear()) CountUnsent(profile);
  UpdateGauges();
}

void Uploader::Run() noexcept {
  while (std::optional<QueuedProfile> next = WaitForNext()) {
    const Answer answer = Post(*next);
    std::string line;
    pprof::LogLevel level = pprof::LogLevel::kWarning;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      try {
        const Verdict verdict = Judge(answer);
        if (verdict.outcome == Outcome::kRefused) level = pprof::LogLevel::kError;
        line = Conclude(std::move(*next), verdict, answer);
      } catch (...) {  // no memory to keep it
        queue_.Settle(*next);
        CountLost(*next, &Stats::profiles_lost_given_up);
      }
      UpdateGauges();
    }
    Say(level, line);
    changed_.notify_all();
  }
}

std::optional<QueuedProfile> Uploader::WaitForNext() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!aborted_ && !(finishing_ && queue_.empty())) {
    if (std::optional<QueuedProfile> next = TakeOrWait(&lock, Clock::now())) return next;
  }
  return std::nullopt;
}

std::optional<QueuedProfile> Uploader::TakeOrWait(std::unique_lock<std::mutex>* lock,
                                                  TimePoint now) {
  const std::optional<TimePoint> due = queue_.NextDue();
  if (!due) {
    changed_.wait(*lock);
    return std::nullopt;
  }
  TimePoint at = std::max(*due, server_not_before_);
  if (at <= now && !deadline_) at = pacer_.Earliest(queue_.NextRawBytes(now), now);
  if (at <= now) {
    std::optional<QueuedProfile> next = queue_.Take(now);
    pacer_.Sent(next->raw_bytes, now);
    return next;
  }
  if (finishing_ && deadline_ && at > *deadline_) {  // waiting would be for nothing
    DropAll();
    changed_.notify_all();
  } else {
    changed_.wait_until(*lock, at);
  }
  return std::nullopt;
}

Answer Uploader::Post(const QueuedProfile& profile) noexcept {
  Count([&](Stats* stats) {
    ++stats->attempts;
    if (profile.tries > 0) ++stats->retries;
  });
  Answer answer;
  try {
    answer = http_->Post(profile.request);
  } catch (...) {
    answer.curl_code = CURLE_OUT_OF_MEMORY;
    answer.error = "no memory";
  }
  Count([&](Stats* stats) { stats->bytes_sent += answer.bytes_sent; });
  return answer;
}

std::string Uploader::Conclude(QueuedProfile profile, const Verdict& verdict,
                               const Answer& answer) {
  ++profile.tries;
  if (verdict.counts && profile.tries_that_count++ == 0) profile.first_failure = Clock::now();
  if (verdict.maybe_taken) profile.maybe_taken = true;
  if (verdict.outcome == Outcome::kAccepted) return Accepted(profile);
  if (aborted_ || verdict.outcome == Outcome::kAborted) {
    queue_.Settle(profile);
    CountUnsent(profile);
    return "";
  }
  if (verdict.outcome == Outcome::kRetry && !IsHopeless(profile)) {
    return TryLater(std::move(profile), verdict, answer);
  }
  return GiveUp(profile, verdict);
}

bool Uploader::IsHopeless(const QueuedProfile& profile) const {
  if (profile.tries_that_count < tuning_.max_tries_that_count) return false;
  return last_accepted_ > profile.first_failure ||
         Clock::now() - profile.first_failure >= tuning_.patience;
}

std::string Uploader::Accepted(const QueuedProfile& profile) {
  queue_.Settle(profile);
  last_accepted_ = Clock::now();
  failures_in_a_row_ = 0;
  server_not_before_ = {};
  Count([&](Stats* stats) {
    ++stats->profiles_accepted;
    stats->samples_accepted += profile.samples;
    --stats->profiles_queued;
  });
  return log_.Recovery(Clock::now());
}

std::string Uploader::TryLater(QueuedProfile profile, const Verdict& verdict,
                               const Answer& answer) {
  const TimePoint now = Clock::now();
  ++failures_in_a_row_;
  server_not_before_ = now + tuning_.backoff.After(failures_in_a_row_, &random_);
  if (answer.retry_after) {
    server_not_before_ = std::max<TimePoint>(
        server_not_before_, now + std::min(*answer.retry_after, tuning_.max_retry_after));
  }
  if (profile.tries_that_count > 0) {
    profile.not_before = now + tuning_.backoff.After(profile.tries_that_count, &random_);
  }
  queue_.PutBack(std::move(profile));
  return Line(verdict, "it will be tried again");
}

std::string Uploader::GiveUp(const QueuedProfile& profile, const Verdict& verdict) {
  queue_.Settle(profile);
  const bool refused = verdict.outcome == Outcome::kRefused;
  CountLost(profile, refused ? &Stats::profiles_lost_refused : &Stats::profiles_lost_given_up);
  if (refused) failures_in_a_row_ = 0;  // the server works
  ++losses_.refused;
  return Line(verdict, "this profile is lost");
}

std::string Uploader::Line(const Verdict& verdict, const char* consequence) {
  const std::string problem = redactor_.Clean(verdict.problem, kMaxProblemBytes);
  losses_.last_problem = problem;
  return log_.Failure(verdict.kind,
                      "push to " + address_ + " failed: " + problem + " - " + verdict.remedy +
                          "; " + consequence + " (" + std::to_string(queue_.size()) + " queued)",
                      Clock::now());
}

}  // namespace pyroscope::internal
