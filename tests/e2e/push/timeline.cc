#include "tests/e2e/push/timeline.h"

#include <pprof/stats.h>
#include <time.h>

#include <chrono>

namespace push_driver {
namespace {

std::int64_t ClockNs(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

Timeline::Point ReadPoint() {
  const auto library = static_cast<std::int64_t>(pprof::ReadStats().library_cpu_ns);
  return {ClockNs(CLOCK_REALTIME), ClockNs(CLOCK_PROCESS_CPUTIME_ID) - library};
}

}  // namespace

void Timeline::Start() {
  Stop();
  stop_ = false;
  thread_ = std::thread([this] {
    while (!stop_) {
      const Point point = ReadPoint();
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        points_.push_back(point);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
}

std::vector<Timeline::Point> Timeline::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  const std::lock_guard<std::mutex> lock(mutex_);
  return points_;
}

}  // namespace push_driver
