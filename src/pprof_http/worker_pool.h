// The threads of the server: made when needed, a bounded number, not sampled. They inherit the
// accepting thread's signal mask, which blocks everything.
#pragma once

#include <httplib.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace pprof_http {

// Connections served at once; twice the profiles that may run, so that other routes still answer.
inline constexpr std::size_t kMaxWorkers = 32;

class WorkerPool final : public httplib::TaskQueue {
 public:
  // void or bool, depending on cpp-httplib's version.
  using EnqueueResult = decltype(std::declval<httplib::TaskQueue&>().enqueue(nullptr));

  EnqueueResult enqueue(std::function<void()> job) override {
    Add(std::move(job));
    return static_cast<EnqueueResult>(true);
  }
  // Waits for the jobs that run. Called by cpp-httplib's accepting thread when it ends.
  void shutdown() override;

  // True on the accepting thread while it runs a job for which there is no worker.
  static bool Overloaded() { return overloaded_; }

 private:
  void Add(std::function<void()> job);
  bool Take(std::function<void()>* job);
  void Work();

  static thread_local bool overloaded_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;  // never more than idle_ workers
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool stop_ = false;
};

}  // namespace pprof_http
