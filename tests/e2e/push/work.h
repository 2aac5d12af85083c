// The application whose profiles the driver pushes: threads that serve requests, each under a trace
// context and labels, and that measure how long anything kept them waiting.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace push_driver {

struct WorkOptions {
  int threads = 1;
  int cpu_us = 2000;                // of each request
  int idle_us = 8000;               // between requests
  std::size_t distinct_names = 10;  // span names "operation N"; 0: `names`
  std::vector<std::string> names;
  std::vector<std::pair<std::string, std::string>> labels;
  std::size_t unique_label_bytes =
      0;  // each request has a label "request" of this many random digits
};

// Of all requests so far.
struct Latency {
  std::uint64_t requests = 0;
  std::int64_t worst_blocked_us = 0;  // neither running nor waiting for a processor
  std::int64_t worst_wall_us = 0;
  std::uint64_t blocked_over_10ms = 0;
};

// Any thread.
class Work {
 public:
  ~Work() { Stop(); }
  void Start(WorkOptions options);
  void Stop();
  Latency latency();
  std::uint64_t spans() const { return next_name_; }  // begun so far

 private:
  void Serve(const WorkOptions& options, int number);
  void Note(std::int64_t blocked_us, std::int64_t wall_us);

  std::vector<std::thread> threads_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> next_name_{0};
  std::mutex mutex_;
  Latency latency_;  // guarded by mutex_
};

}  // namespace push_driver
