// A source of profiles for tests: says when windows open and how they end.
#pragma once

#include <pprof/profile_source.h>

#include <atomic>
#include <memory>
#include <string>

namespace pprof_http {

class FakeSource final : public pprof::ProfileSource {
 public:
  std::atomic<int> open{0};  // windows that run now
  std::atomic<int> stopped{0};
  std::atomic<int> discarded{0};
  pprof::Status open_status;  // what Open answers when not ok
  pprof::Status stop_status;
  std::string bytes = "gzip";

  pprof::Result<std::unique_ptr<pprof::ProfileWindow>> Open(int) noexcept override {
    if (!open_status.ok()) return open_status;
    return std::unique_ptr<pprof::ProfileWindow>(std::make_unique<Window>(*this));
  }

 private:
  class Window final : public pprof::ProfileWindow {
   public:
    explicit Window(FakeSource& source) : source_(source) { ++source_.open; }
    ~Window() override {
      --source_.open;
      if (!stopped_) ++source_.discarded;
    }
    pprof::Result<pprof::EncodedWindow> Cut(const pprof::ProfileLimits&) noexcept override {
      return pprof::Status{pprof::Status::Code::kStopped, "not asked for by this library"};
    }
    pprof::Result<pprof::EncodedWindow> Stop(const pprof::ProfileLimits&) noexcept override {
      stopped_ = true;
      ++source_.stopped;
      if (!source_.stop_status.ok()) return source_.stop_status;
      pprof::EncodedWindow window;
      window.profiles.emplace_back();
      window.profiles.back().gzip = source_.bytes;
      return window;
    }
    int rate() const noexcept override { return 100; }

   private:
    FakeSource& source_;
    bool stopped_ = false;
  };
};

}  // namespace pprof_http
