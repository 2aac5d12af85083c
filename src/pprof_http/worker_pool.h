// The threads of the server: made when needed, a bounded number, not sampled. They inherit the
// signal mask of the thread that calls Add, which blocks everything.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pprof_http {

// Connections served at once; twice the profiles that may run, so that other routes still answer.
inline constexpr std::size_t kMaxWorkers = 32;

class WorkerPool {
 public:
  WorkerPool() = default;
  ~WorkerPool();  // waits for the jobs that run
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False: every worker is busy and there may be no more of them; the job is not run. One thread.
  bool Add(std::function<void()> job);

 private:
  bool Take(std::function<void()>* job);
  void Work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;  // never more than idle_ workers
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool stop_ = false;
};

}  // namespace pprof_http
