#include "src/pprof_http/worker_pool.h"

#include <pprof/profile_source.h>

#include <system_error>
#include <utility>

namespace pprof_http {

bool WorkerPool::Add(std::function<void()> job) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (jobs_.size() == idle_ && threads_.size() < kMaxWorkers) {
    try {
      threads_.emplace_back([this] { Work(); });
      ++idle_;
    } catch (const std::system_error&) {  // no thread to be had: as if all were busy
    }
  }
  if (jobs_.size() >= idle_) return false;
  jobs_.push_back(std::move(job));
  wake_.notify_one();
  return true;
}

bool WorkerPool::Take(std::function<void()>* job) {
  std::unique_lock<std::mutex> lock(mutex_);
  wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
  if (jobs_.empty()) return false;
  *job = std::move(jobs_.front());
  jobs_.pop_front();
  --idle_;
  return true;
}

void WorkerPool::Work() {
  const pprof::LibraryThread own;
  std::function<void()> job;
  while (Take(&job)) {
    job();
    job = nullptr;
    const std::lock_guard<std::mutex> lock(mutex_);
    ++idle_;
  }
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

}  // namespace pprof_http
