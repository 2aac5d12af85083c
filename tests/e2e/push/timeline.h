// The process's CPU clock over time, read by a thread of the driver, as the measure for profiles
// whose windows somebody else chose.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace push_driver {

// Any thread.
class Timeline {
 public:
  struct Point {
    std::int64_t wall_ns;
    std::int64_t cpu_ns;  // of the process, without the library's own threads
  };
  ~Timeline() { Stop(); }
  void Start();
  // All points so far, oldest first.
  std::vector<Point> Stop();

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
  std::mutex mutex_;
  std::vector<Point> points_;  // guarded by mutex_
};

}  // namespace push_driver
