// The public API: recorded spans and the profile of the last minutes, and a thread that keeps both
// within their limits.

#include <fcntl.h>
#include <pprof/profile_source.h>
#include <pprof/span_watch.h>
#include <pprof/stats.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "src/pprof/base/status.h"
#include "src/pprof/encode/limited_encoder.h"
#include "src/pprof/encode/pprof_encoder.h"
#include "src/pprof/profiler/grafana.h"
#include "src/pprof/profiler/process_facts.h"
#include "src/pprof/profiler/shared_symbolizer.h"
#include "src/pprof/profiler/source.h"
#include "src/pprof/profiler/window_ring.h"
#include "src/pprof/sampler/sampler.h"
#include "src/pprof/spans/hex.h"
#include "src/pprof/spans/span_store.h"
#include "src/pprof/view/document.h"
#include "src/pprof/view/span_samples.h"

namespace pprof {
namespace {

using base::MakeStatus;
using sampler::Sampler;
using spans::Hex;
using Clock = std::chrono::steady_clock;

constexpr auto kFoldEvery = std::chrono::milliseconds(100);
constexpr auto kFoldSoon = std::chrono::milliseconds(10);  // while spans come fast
constexpr auto kCutEvery = std::chrono::seconds(10);
constexpr auto kFreshEnough = std::chrono::milliseconds(50);

std::int64_t Now(clockid_t clock) noexcept {
  timespec now{};
  clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

Status NoMemory() noexcept {
  return MakeStatus(Status::Code::kUnavailable, "no memory to watch spans");
}
Status OtherProcess() noexcept {
  return MakeStatus(
      Status::Code::kStopped,
      "spans were watched before fork(), by the parent process; watch them anew in the child");
}

std::string Gzip(std::string_view bytes) {
  std::string compressed;
  const bool written = encode::WriteGzip(bytes, [&](std::string_view piece) {
    compressed.append(piece);
    return true;
  });
  if (!written) throw std::bad_alloc();
  return compressed;
}

bool IsSpanId(std::string_view text) {
  return text.size() == 16 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

class SpanWatch::Impl {
 public:
  explicit Impl(const SpanWatchOptions& options)
      : service_(options.service.empty() ? profiler::ServiceName() : options.service),
        grafana_(profiler::FindGrafana(options)),
        ring_(options.max_profile_bytes, std::chrono::nanoseconds(options.keep).count()),
        started_ns_(profiler::ProcessAgeNs()) {}

  ~Impl() {
    if (thread_.joinable()) {
      {
        const std::lock_guard<std::mutex> lock(wake_mutex_);
        stop_ = true;
      }
      wake_.notify_all();
      thread_.join();
    }
    spans::StopWanting();
    if (window_ != nullptr) Sampler::Get().Stop(window_.get());
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  bool OfThisProcess() const noexcept { return pid_ == getpid(); }

  Status Start(const SpanWatchOptions& options) {
    auto window = std::make_unique<sampler::Window>();
    Status status = Sampler::Get().Start(window.get(), options.rate);
    if (!status.ok()) return status;
    window_ = std::move(window);
    last_cut_ = Clock::now();
    spans::Want(static_cast<std::int64_t>(options.max_span_bytes));
    return StartThread();
  }

  std::string Document() {
    view::DocumentParts parts;
    parts.windows = FreshWindows();
    parts.service = service_;
    parts.grafana = grafana_.address;
    parts.grafana_datasource = grafana_.datasource;
    parts.command = profiler::ProgramPath();
    parts.pid = pid_;
    parts.stats = ReadStats();
    constexpr std::int64_t kSecond = 1'000'000'000;
    if (started_ns_ > 2 * kSecond) {
      parts.notes.push_back("watching began " + std::to_string(started_ns_ / kSecond) +
                            " s after the process: earlier spans and samples are not here");
    }
    const std::lock_guard<std::mutex> lock(store_mutex_);
    FoldLocked();
    parts.now_ns = Now(CLOCK_REALTIME);
    parts.spans = &store_;
    return view::WriteDocument(parts);
  }

  std::string SpanProfile(const std::string& id, SpanProfileFormat format) {
    const view::Windows windows = FreshWindows();
    std::string title = "span " + id;
    const std::string label = LabelOf(id, &title);
    profile::Profile samples = view::SamplesOfSpan(windows, label);
    if (format == SpanProfileFormat::kFolded) return view::FoldedStacks(samples);
    if (format == SpanProfileFormat::kText) return view::TextReport(samples, title);
    EncodedWindow encoded = encode::EncodeLimited(std::move(samples), {});
    return std::move(encoded.profiles.front().gzip);
  }

 private:
  // What the span's samples carry as span_id.
  std::string LabelOf(const std::string& id, std::string* title) {
    const std::lock_guard<std::mutex> lock(store_mutex_);
    FoldLocked();
    std::string label = id;
    store_.ForEach([&](const spans::Record& span) {
      if (Hex(span.span_id) != id) return;
      *title += ": " + std::string(span.Name());
      const std::string carried = Hex(span.label_span_id);
      if (carried == id || carried.empty()) return;
      label = carried;
      *title += "\nits samples are labelled with its local root " + label + ": this is all of that";
    });
    return label;
  }

  view::Windows FreshWindows() {
    const std::lock_guard<std::mutex> lock(window_mutex_);
    if (Clock::now() - last_cut_ >= kFreshEnough) CutLocked();
    return ring_.All();
  }

  void CutLocked() {
    auto next = std::make_unique<sampler::Window>();
    last_cut_ = Clock::now();
    if (!Sampler::Get().Cut(window_.get(), next.get()).ok()) return;
    std::swap(window_, next);
    ring_.Add(profiler::AssembleShared(*next));
  }

  void FoldLocked() noexcept {
    store_.Add(spans::TakeEnded(), Now(CLOCK_REALTIME) - Now(CLOCK_MONOTONIC));
    store_.Trim();
  }

  Status StartThread() {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // inherited: the host's signals stay its own
    Status status;
    try {
      thread_ = std::thread([this] { Main(); });
    } catch (...) {
      status =
          MakeStatus(Status::Code::kUnavailable, "the thread that watches spans cannot be started");
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return status;
  }

  void Main() noexcept {
    const LibraryThread own;
    auto pause = kFoldEvery;
    std::unique_lock<std::mutex> wake(wake_mutex_);
    while (!wake_.wait_for(wake, pause, [this] { return stop_; })) {
      wake.unlock();
      pause = Tend();
      wake.lock();
    }
  }

  // How long nothing need be done.
  std::chrono::milliseconds Tend() noexcept {
    const std::int64_t used = spans::BytesUsed();
    {
      const std::lock_guard<std::mutex> lock(store_mutex_);
      FoldLocked();
    }
    try {
      const std::lock_guard<std::mutex> lock(window_mutex_);
      if (Clock::now() - last_cut_ >= kCutEvery) CutLocked();
    } catch (...) {  // no memory: that window is lost, the next one comes
    }
    return used > spans::BytesLimit() / 8 * 7 ? kFoldSoon : kFoldEvery;
  }

  const std::string service_;
  const profiler::Grafana grafana_;
  const pid_t pid_ = getpid();
  std::mutex window_mutex_;  // never held together with store_mutex_
  std::unique_ptr<sampler::Window> window_;
  profiler::WindowRing ring_;
  Clock::time_point last_cut_;
  std::mutex store_mutex_;
  spans::SpanStore store_;
  std::mutex wake_mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
  const std::int64_t started_ns_;  // age of the process then
};

namespace {

// Never destroyed: spans are watched in static destruction too.
struct Running {
  std::mutex mutex;
  std::weak_ptr<SpanWatch::Impl> impl;
};
alignas(Running) unsigned char g_storage[sizeof(Running)];
Running* g_running = nullptr;

Running& TheRunning() {
  static const bool made = [] {
    g_running = new (static_cast<void*>(g_storage)) Running();
    pthread_atfork(nullptr, nullptr, [] { new (static_cast<void*>(g_storage)) Running(); });
    return true;
  }();
  static_cast<void>(made);
  return *g_running;
}

// In a fork child the thread does not exist and locks may be held for ever: neither stopped nor
// freed. One watch ends before the next one begins.
void DeleteHere(SpanWatch::Impl* impl) {
  if (!impl->OfThisProcess()) return;
  const std::lock_guard<std::mutex> lock(TheRunning().mutex);
  delete impl;
}

Status CheckOptions(const SpanWatchOptions& options) {
  if (Status status = profiler::CheckRate(options.rate); !status.ok()) return status;
  if (options.max_span_bytes < (std::size_t{1} << 20) ||
      options.max_span_bytes > (std::size_t{1} << 40)) {
    return MakeStatus(Status::Code::kInvalidArgument, "max_span_bytes: choose 1 MiB or more");
  }
  if (options.keep < std::chrono::seconds(10) || options.keep > std::chrono::hours(1)) {
    return MakeStatus(Status::Code::kInvalidArgument, "keep: choose 10 s to 1 h");
  }
  return {};
}

}  // namespace

SpanWatch::SpanWatch(std::shared_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
SpanWatch::SpanWatch(SpanWatch&&) noexcept = default;
SpanWatch& SpanWatch::operator=(SpanWatch&&) noexcept = default;
SpanWatch::~SpanWatch() = default;

Result<std::string> SpanWatch::Document(bool gzip) const noexcept {
  if (impl_ == nullptr || !impl_->OfThisProcess()) return OtherProcess();
  try {
    std::string document = impl_->Document();
    return gzip ? Gzip(document) : std::move(document);
  } catch (...) {
    return NoMemory();
  }
}

Status SpanWatch::WriteDocument(const std::string& path) const noexcept {
  Result<std::string> document = Document();
  if (!document.ok()) return document.status();
  try {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << *document;
    if (out.flush()) return {};
  } catch (...) {
  }
  return MakeStatus(Status::Code::kIo, "the spans document cannot be written", errno, "");
}

Result<std::string> SpanWatch::SpanProfile(const std::string& span_id,
                                           SpanProfileFormat format) const noexcept {
  if (impl_ == nullptr || !impl_->OfThisProcess()) return OtherProcess();
  if (!IsSpanId(span_id)) {
    return MakeStatus(Status::Code::kInvalidArgument, "a span id has 16 lower-case hex digits");
  }
  try {
    return impl_->SpanProfile(span_id, format);
  } catch (...) {
    return NoMemory();
  }
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): small, and the API may come to keep it
Result<SpanWatch> WatchSpans(SpanWatchOptions options) noexcept {
  try {
    if (Status status = CheckOptions(options); !status.ok()) return status;
    std::shared_ptr<SpanWatch::Impl> impl;  // before the lock, which its deletion takes
    Running& running = TheRunning();
    const std::lock_guard<std::mutex> lock(running.mutex);
    impl = running.impl.lock();
    if (impl == nullptr) {
      impl = std::shared_ptr<SpanWatch::Impl>(new SpanWatch::Impl(options), DeleteHere);
      if (Status status = impl->Start(options); !status.ok()) return status;
      running.impl = impl;
    }
    return SpanWatch(std::move(impl));
  } catch (...) {
    return NoMemory();
  }
}

Result<SpanWatch> RunningSpanWatch() noexcept {
  try {
    Running& running = TheRunning();
    const std::lock_guard<std::mutex> lock(running.mutex);
    std::shared_ptr<SpanWatch::Impl> impl = running.impl.lock();
    if (impl != nullptr) return SpanWatch(std::move(impl));
    return MakeStatus(Status::Code::kStopped, "nobody watches spans");
  } catch (...) {
    return NoMemory();
  }
}

}  // namespace pprof
