// Work for tests: real CPU time on the calling thread, counted by its own CPU clock.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace test {

inline std::int64_t ReadClockNs(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}
inline std::int64_t ThreadCpuNs() { return ReadClockNs(CLOCK_THREAD_CPUTIME_ID); }
inline std::int64_t ProcessCpuNs() { return ReadClockNs(CLOCK_PROCESS_CPUTIME_ID); }

inline std::atomic<std::uint64_t> g_busy_sink{0};

// A few microseconds of arithmetic that the compiler cannot drop.
inline void Spin() {
  std::uint64_t x = g_busy_sink.load(std::memory_order_relaxed) | 1;
  for (int i = 0; i < 5000; ++i) x = x * 6364136223846793005u + 1442695040888963407u;
  g_busy_sink.store(x, std::memory_order_relaxed);
}

// Uses `ns` of the calling thread's CPU time.
inline void BurnCpu(std::int64_t ns) {
  const std::int64_t end = ThreadCpuNs() + ns;
  while (ThreadCpuNs() < end) Spin();
}
inline void BurnMs(int ms) { BurnCpu(std::int64_t{ms} * 1000000); }

// Threads that work until the object goes.
class BusyThreads {
 public:
  explicit BusyThreads(int count) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this] {
        while (!stop_.load(std::memory_order_relaxed)) Spin();
      });
    }
  }
  ~BusyThreads() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

}  // namespace test
