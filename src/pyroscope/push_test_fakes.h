// What the tests of the push client share: a source of made-up profiles, a reader of push requests,
// a log that remembers.
#pragma once

#include <pprof/log.h>
#include <pprof/profile_source.h>
#include <pyroscope/stats.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <protozero/pbf_reader.hpp>
#include <string>
#include <utility>
#include <vector>

#include "src/pyroscope/process.h"
#include "tests/support/process.h"

namespace pyroscope::internal {

// Each window gives the profiles that were laid ready, or one of 7 samples.
class FakeSource final : public pprof::ProfileSource {
 public:
  pprof::Result<std::unique_ptr<pprof::ProfileWindow>> Open(int rate) noexcept override {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++opened_;
    if (!open_status_.ok()) return open_status_;
    return std::unique_ptr<pprof::ProfileWindow>(new Window(this, rate));
  }

  void RefuseToOpen(pprof::Status status) { open_status_ = std::move(status); }
  // The next window holds these.
  void Lay(std::vector<pprof::EncodedProfile> profiles) {
    const std::lock_guard<std::mutex> lock(mutex_);
    laid_.push_back({std::move(profiles), {}});
  }
  void LayFailure(pprof::Status status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    failures_.push_back(std::move(status));
  }
  // Runs inside each Cut and Stop of a window.
  void OnCut(std::function<void()> hook) {
    const std::lock_guard<std::mutex> lock(mutex_);
    hook_ = std::move(hook);
  }

  int opened() const { return Read(opened_); }
  int closed() const { return Read(closed_); }
  int cuts() const { return Read(cuts_); }
  std::vector<pprof::ProfileLimits> limits() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return limits_;
  }

  static pprof::EncodedProfile Profile(std::string bytes, std::uint64_t samples,
                                       std::size_t raw_bytes = 1000) {
    pprof::EncodedProfile profile;
    profile.gzip = std::move(bytes);
    profile.raw_bytes = raw_bytes;
    profile.samples = samples;
    return profile;
  }

 private:
  class Window final : public pprof::ProfileWindow {
   public:
    Window(FakeSource* source, int rate) : source_(source), rate_(rate) {}
    ~Window() override {
      const std::lock_guard<std::mutex> lock(source_->mutex_);
      ++source_->closed_;
    }
    pprof::Result<pprof::EncodedWindow> Cut(const pprof::ProfileLimits& limits) noexcept override {
      return source_->Next(limits);
    }
    pprof::Result<pprof::EncodedWindow> Stop(const pprof::ProfileLimits& limits) noexcept override {
      return source_->Next(limits);
    }
    int rate() const noexcept override { return rate_; }

   private:
    FakeSource* const source_;
    const int rate_;
  };

  int Read(const int& number) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return number;
  }

  pprof::Result<pprof::EncodedWindow> Next(const pprof::ProfileLimits& limits) {
    std::function<void()> hook;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      hook = hook_;
    }
    if (hook) hook();
    const std::lock_guard<std::mutex> lock(mutex_);
    limits_.push_back(limits);
    ++cuts_;
    if (!failures_.empty()) {
      const pprof::Status status = failures_.front();
      failures_.pop_front();
      return status;
    }
    pprof::EncodedWindow window;
    if (laid_.empty()) {
      window.profiles.push_back(Profile("profile " + std::to_string(cuts_), 7));
    } else {
      window = std::move(laid_.front());
      laid_.pop_front();
    }
    return window;
  }

  mutable std::mutex mutex_;
  pprof::Status open_status_;
  std::deque<pprof::EncodedWindow> laid_;
  std::deque<pprof::Status> failures_;
  std::function<void()> hook_;
  std::vector<pprof::ProfileLimits> limits_;
  int opened_ = 0;
  int closed_ = 0;
  int cuts_ = 0;
};

// A decoded PushRequest of one series with one profile.
struct DecodedPush {
  std::map<std::string, std::string> labels;
  std::string profile;
  std::string id;
  int series = 0;
  int samples = 0;
};

inline DecodedPush DecodePush(const std::string& body) {
  DecodedPush push;
  protozero::pbf_reader request(body);
  while (request.next(1)) {
    ++push.series;
    protozero::pbf_reader series = request.get_message();
    while (series.next()) {
      protozero::pbf_reader part = series.get_message();
      std::string first;
      std::string second;
      while (part.next()) (part.tag() == 1 ? first : second) = part.get_string();
      if (series.tag() == 1) {
        push.labels[first] = second;
      } else {
        ++push.samples;
        push.profile = first;
        push.id = second;
      }
    }
  }
  return push;
}

// Collects the lines of all libraries while it lives.
class LogRecorder {
 public:
  LogRecorder() {
    pprof::SetLogHandler([this](pprof::LogLevel, std::string_view line) {
      const std::lock_guard<std::mutex> lock(mutex_);
      lines_.emplace_back(line);
    });
  }
  ~LogRecorder() { pprof::SetLogHandler(nullptr); }
  LogRecorder(const LogRecorder&) = delete;
  LogRecorder& operator=(const LogRecorder&) = delete;

  std::vector<std::string> lines() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return lines_;
  }
  // How many hold `text`.
  int Count(const std::string& text) const {
    int count = 0;
    for (const std::string& line : lines()) count += line.find(text) != std::string::npos ? 1 : 0;
    return count;
  }
  std::string All() const {
    std::string all;
    for (const std::string& line : lines()) all += line + '\n';
    return all;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

// Retries and gives up within milliseconds.
inline Tuning FastTuning() {
  Tuning tuning;
  tuning.http = {std::chrono::milliseconds(500), std::chrono::milliseconds(500)};
  tuning.backoff = {std::chrono::milliseconds(2), std::chrono::milliseconds(10)};
  tuning.patience = std::chrono::milliseconds(0);
  return tuning;
}

// One window, until Flush or Stop ends it.
inline Config ConfigFor(const std::string& url) {
  Config config;
  config.application_name = "shop";
  config.server_address = url;
  config.upload_interval = std::chrono::minutes(10);
  return config;
}

// Counters since this was made.
class StatsSince {
 public:
  Stats Now() const {
    Stats now = ReadStats();
    now.windows -= start_.windows;
    now.windows_empty -= start_.windows_empty;
    now.windows_failed -= start_.windows_failed;
    now.profiles_taken -= start_.profiles_taken;
    now.profiles_accepted -= start_.profiles_accepted;
    now.profiles_lost -= start_.profiles_lost;
    now.profiles_unknown -= start_.profiles_unknown;
    now.profiles_lost_refused -= start_.profiles_lost_refused;
    now.profiles_lost_given_up -= start_.profiles_lost_given_up;
    now.profiles_lost_queue_full -= start_.profiles_lost_queue_full;
    now.profiles_lost_unsent -= start_.profiles_lost_unsent;
    now.samples_taken -= start_.samples_taken;
    now.samples_accepted -= start_.samples_accepted;
    now.samples_lost -= start_.samples_lost;
    now.samples_unknown -= start_.samples_unknown;
    now.attempts -= start_.attempts;
    now.retries -= start_.retries;
    now.bytes_sent -= start_.bytes_sent;
    return now;
  }

 private:
  const Stats start_ = ReadStats();
};

// Threads of the push client in this process.
inline int ClientThreads() {
  int count = 0;
  for (const int tid : test::ThreadIds()) {
    std::string name;
    std::getline(std::ifstream("/proc/self/task/" + std::to_string(tid) + "/comm"), name);
    if (name.rfind("pyroscope-", 0) == 0) ++count;
  }
  return count;
}

// An environment of its own.
inline Environment Variables(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  };
}

}  // namespace pyroscope::internal
