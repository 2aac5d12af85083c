#include "src/pyroscope/session.h"

#include <pthread.h>
#include <sys/random.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <system_error>
#include <utility>

#include "src/pyroscope/counters.h"
#include "src/pyroscope/process.h"
#include "src/pyroscope/push_request.h"

namespace pyroscope::internal {
namespace {

using pprof::Result;
using pprof::Status;

// Beyond any use, and far from overflow.
constexpr std::chrono::milliseconds kLongestWait = std::chrono::hours(24);
// After Stop's time is over, how long an aborted request may take to end.
constexpr std::chrono::milliseconds kGrace = std::chrono::seconds(1);

// What the server's rate limit counts beside the profile itself.
std::size_t LabelBytes(const SeriesLabels& labels) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : labels) bytes += name.size() + value.size();
  return bytes;
}

TimePoint DeadlineAfter(std::chrono::milliseconds timeout) {
  return Clock::now() + std::clamp(timeout, std::chrono::milliseconds(0), kLongestWait);
}

// Its quality matters little: it spreads clients over time.
template <class Bytes>
void FillRandom(Bytes* bytes) {
  if (getentropy(bytes, sizeof *bytes) != 0) {
    const auto now = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
    std::copy_n(reinterpret_cast<const unsigned char*>(&now), std::min(sizeof *bytes, sizeof now),
                reinterpret_cast<unsigned char*>(bytes));
  }
}

std::uint64_t RandomSeed() {
  std::uint64_t seed = 0;
  FillRandom(&seed);
  return seed;
}

std::string NewUuid() {
  unsigned char random[16] = {};
  FillRandom(&random);
  return FormatUuid(random);
}

// A new thread inherits the mask: none of the host's signals is ever handled on it.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

Status BelongsToParent() {
  return {Status::Code::kStopped,
          "the profiler was started before fork() and belongs to the parent process; start another "
          "one in the child"};
}

Status AlreadyStopped() { return {Status::Code::kStopped, "the profiler was stopped before"}; }

}  // namespace

Session::Session(Settings settings)
    : settings_(std::move(settings)),
      fork_generation_(ForkGeneration()),
      labels_(MakeSeriesLabels(settings_.service_name, settings_.tags)) {}

Result<std::shared_ptr<Session>> Session::Start(Settings settings, pprof::ProfileSource& source,
                                                const Tuning& tuning) {
  if (Status status = InitCurl(); !status.ok()) return status;
  auto http = HttpClient::Create(settings, tuning.http);
  if (!http.ok()) return http.status();
  Redactor redactor;
  for (const std::string& secret : settings.secrets) redactor.Add(secret);
  const std::shared_ptr<Session> session(new Session(std::move(settings)));
  const std::uint64_t seed = RandomSeed();
  session->uploader_ = std::make_unique<Uploader>(
      std::move(*http), std::move(redactor), session->settings_.endpoint.address, tuning, seed);
  auto window = source.Open(session->settings_.sample_rate);
  if (!window.ok()) return window.status();
  session->window_ = std::move(*window);
  // A random phase: services that start together do not push together for ever.
  Random random(seed + 1);
  const std::int64_t interval = session->settings_.upload_interval.count();
  session->next_edge_ =
      Clock::now() +
      std::chrono::milliseconds(std::uniform_int_distribution<std::int64_t>(1, interval)(random));
  if (Status status = session->StartThreads(); !status.ok()) return status;
  return session;
}

Status Session::StartThreads() {
  const AllSignalsBlocked blocked;
  try {
    upload_thread_ = std::thread([self = shared_from_this()] {
      pthread_setname_np(pthread_self(), "pyroscope-push");
      const pprof::LibraryThread own;
      self->uploader_->Run();
      self->Ended(&Session::uploads_done_);
    });
    window_thread_ = std::thread([self = shared_from_this()] {
      pthread_setname_np(pthread_self(), "pyroscope-cut");
      const pprof::LibraryThread own;
      self->WindowMain();
      self->Ended(&Session::windows_done_);
    });
  } catch (const std::system_error& error) {
    uploader_->Abort();
    if (upload_thread_.joinable()) upload_thread_.join();
    return {Status::Code::kUnavailable, std::string("no thread for the profiler: ") + error.what() +
                                            "; raise the limit of threads (ulimit -u, pids.max)"};
  }
  return {};
}

bool Session::OfThisProcess() const noexcept { return fork_generation_ == ForkGeneration(); }

void Session::Ended(bool Session::*which) noexcept {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    this->*which = true;
  }
  changed_.notify_all();
}

void Session::WindowMain() noexcept {
  while (WaitForEdge()) CutWindow(/*last=*/false);
  CutWindow(/*last=*/true);
  uploader_->Finish();
}

bool Session::WaitForEdge() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_until(lock, next_edge_,
                      [&] { return stopping_ || flushes_asked_ > flushes_done_; });
  if (stopping_) return false;
  const TimePoint now = Clock::now();
  // Edges that were missed, because the machine or the last cut was slow, make one longer window.
  while (next_edge_ <= now) next_edge_ += settings_.upload_interval;
  return true;
}

void Session::CutWindow(bool last) noexcept {
  std::uint64_t flushes = 0;
  SeriesLabels next_labels;
  bool abandon = false;
  try {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      flushes = flushes_asked_;
      abandon = window_abandoned_ = last && abandon_window_;
      next_labels = next_tags_ ? MakeSeriesLabels(settings_.service_name, *next_tags_) : labels_;
      next_tags_.reset();
    }
    Count([](Stats* stats) { ++stats->windows; });
    const pprof::ProfileLimits limits = PushLimits(labels_);
    auto cut = abandon ? Result<pprof::EncodedWindow>(AlreadyStopped())
               : last  ? window_->Stop(limits)
                       : window_->Cut(limits);
    if (last) window_.reset();
    if (cut.ok()) {
      Ship(std::move(*cut), labels_);
    } else {
      Count([](Stats* stats) { ++stats->windows_failed; });
      if (!abandon) Say(pprof::LogLevel::kError, "a window is lost: " + cut.status().message);
    }
    labels_ = std::move(next_labels);
  } catch (...) {
    Count([](Stats* stats) { ++stats->windows_failed; });
    Say(pprof::LogLevel::kError, "a window is lost: no memory");
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++windows_ended_;
    flushes_done_ = std::max(flushes_done_, flushes);
  }
  changed_.notify_all();
}

void Session::Ship(pprof::EncodedWindow window, const SeriesLabels& labels) {
  std::vector<QueuedProfile> profiles;
  for (const pprof::EncodedProfile& profile : window.profiles) {
    if (profile.samples == 0) continue;  // the server would store nothing
    QueuedProfile queued;
    queued.request = EncodePushRequest(labels, profile.gzip, NewUuid());
    queued.raw_bytes = profile.raw_bytes + LabelBytes(labels);
    queued.samples = profile.samples;
    queued.window = windows_ended_;
    profiles.push_back(std::move(queued));
  }
  Count([&](Stats* stats) {
    if (profiles.empty()) ++stats->windows_empty;
    stats->splits += window.repairs.splits;
    stats->span_names_merged += window.repairs.span_names_merged;
    stats->labels_dropped += window.repairs.labels_dropped;
    stats->strings_shortened += window.repairs.strings_shortened;
    stats->stacks_shortened += window.repairs.stacks_shortened;
  });
  uploader_->Add(std::move(profiles));
}

Status Session::SetTags(Tags tags) {
  if (!OfThisProcess()) return BelongsToParent();
  if (Status status = CheckTags(tags, settings_.service_name); !status.ok()) return status;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (stopping_) return AlreadyStopped();
  next_tags_ = std::move(tags);
  return {};
}

Status Session::Flush(std::chrono::milliseconds timeout) {
  if (!OfThisProcess()) return BelongsToParent();
  const TimePoint deadline = DeadlineAfter(timeout);
  std::uint64_t window = 0;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    if (stopping_) return AlreadyStopped();
    const std::uint64_t mine = ++flushes_asked_;
    changed_.notify_all();
    if (timeout.count() <= 0) return {};
    const bool cut =
        changed_.wait_until(lock, deadline, [&] { return flushes_done_ >= mine || windows_done_; });
    if (!cut) return {Status::Code::kTimeout, "the window is still being read; nothing is lost"};
    window = windows_ended_ - 1;
  }
  if (uploader_->WaitSettled(window, deadline)) return {};
  return {Status::Code::kTimeout, "not everything is delivered yet; the rest stays queued: " +
                                      uploader_->ReadLosses().last_problem};
}

bool Session::running() noexcept {
  if (!OfThisProcess()) return false;
  const std::lock_guard<std::mutex> lock(mutex_);
  return !stopping_;
}

Status Session::Stop(std::chrono::milliseconds timeout) {
  if (!OfThisProcess()) return BelongsToParent();
  const TimePoint deadline = DeadlineAfter(timeout);
  {
    std::unique_lock<std::mutex> lock(mutex_);
    if (stopping_) {  // by another thread, or before
      changed_.wait_until(lock, deadline, [&] { return stopped_; });
      return {};
    }
    stopping_ = true;
    abandon_window_ = timeout.count() <= 0;
  }
  uploader_->Hurry(deadline);
  changed_.notify_all();
  const Ends ends = WaitForEnds(deadline);
  JoinOrDetach(&window_thread_, ends.windows);
  JoinOrDetach(&upload_thread_, ends.uploads);
  Status status = StopStatus(timeout, ends.window_read);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  return status;
}

Session::Ends Session::WaitForEnds(TimePoint deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto ended = [&] { return windows_done_ && uploads_done_; };
  if (!changed_.wait_until(lock, deadline, ended)) {
    abandon_window_ = true;
    lock.unlock();
    uploader_->Abort();
    lock.lock();
    changed_.wait_for(lock, kGrace, ended);
  }
  return {windows_done_, uploads_done_, windows_done_ && !window_abandoned_};
}

// A thread that is still at work, reading symbols or in a name server's hands, ends by itself.
void Session::JoinOrDetach(std::thread* thread, bool ended) noexcept {
  if (ended && thread->get_id() != std::this_thread::get_id()) {
    thread->join();
  } else {
    thread->detach();
  }
}

Status Session::StopStatus(std::chrono::milliseconds timeout, bool window_read) {
  const Losses losses = uploader_->ReadLosses();
  const std::string because =
      losses.last_problem.empty() ? "" : "; the last problem was " + losses.last_problem;
  if (losses.unsent > 0 || !window_read) {
    std::string what = std::to_string(losses.unsent) + " profiles (" +
                       std::to_string(losses.unsent_samples) + " samples, " +
                       std::to_string(losses.unsent_bytes) + " bytes)";
    if (!window_read) what += " and the last window";
    return {Status::Code::kTimeout, what + " could not be sent within " +
                                        std::to_string(timeout.count()) + " ms and are lost" +
                                        because};
  }
  if (losses.refused > 0) {
    return {Status::Code::kIo, std::to_string(losses.refused) +
                                   " profiles were refused by the server and are lost" + because};
  }
  return {};
}

}  // namespace pyroscope::internal
