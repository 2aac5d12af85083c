// One running profiler: a thread that cuts windows, a thread that sends them.
#pragma once

#include <pprof/profile_source.h>
#include <pprof/status.h>
#include <pyroscope/pyroscope.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "src/pyroscope/clock.h"
#include "src/pyroscope/series_labels.h"
#include "src/pyroscope/settings.h"
#include "src/pyroscope/uploader.h"

namespace pyroscope::internal {

// Kept alive by the Profiler and by its own threads. In a fork child nothing of it is touched any
// more; every member function gives kStopped there.
class Session : public std::enable_shared_from_this<Session> {
 public:
  // May throw std::bad_alloc. `source` lives for ever.
  static pprof::Result<std::shared_ptr<Session>> Start(Settings settings,
                                                       pprof::ProfileSource& source,
                                                       const Tuning& tuning);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // As in Profiler. These may throw std::bad_alloc.
  pprof::Status Stop(std::chrono::milliseconds timeout);
  pprof::Status Flush(std::chrono::milliseconds timeout);
  pprof::Status SetTags(Tags tags);
  bool running() noexcept;

 private:
  explicit Session(Settings settings);
  pprof::Status StartThreads();
  bool OfThisProcess() const noexcept;

  void WindowMain() noexcept;
  // True: go on.
  bool WaitForEdge();
  void CutWindow(bool last) noexcept;
  void Ship(pprof::EncodedWindow window, const SeriesLabels& labels);
  void Ended(bool Session::*which) noexcept;
  // Waits for the threads, beyond the deadline only as long as an aborted request needs to end.
  struct Ends {
    bool windows = false;
    bool uploads = false;
    bool window_read = false;  // the last one
  };
  Ends WaitForEnds(TimePoint deadline);
  void JoinOrDetach(std::thread* thread, bool ended) noexcept;
  pprof::Status StopStatus(std::chrono::milliseconds timeout, bool window_read);

  const Settings settings_;
  std::unique_ptr<Uploader> uploader_;
  const std::uint32_t fork_generation_;
  std::thread window_thread_;
  std::thread upload_thread_;

  // Of the window thread.
  std::unique_ptr<pprof::ProfileWindow> window_;
  SeriesLabels labels_;  // of the running window
  TimePoint next_edge_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Tags> next_tags_;
  std::uint64_t windows_ended_ = 0;
  std::uint64_t flushes_asked_ = 0;
  std::uint64_t flushes_done_ = 0;
  bool stopping_ = false;
  bool stopped_ = false;
  bool abandon_window_ = false;  // no time to read the last one
  bool window_abandoned_ = false;
  bool windows_done_ = false;  // the window thread is at its end
  bool uploads_done_ = false;  // the upload thread is at its end
};

}  // namespace pyroscope::internal
