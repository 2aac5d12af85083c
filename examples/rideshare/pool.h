// A plain thread pool, and the coroutines that resume on it. A task runs in the context of whoever
// posted it, so its CPU time belongs to that request; a coroutine needs nothing else, because its
// awaiter posts what resumes it.
#pragma once

#include <otelpyroscope/carried_context.h>

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace rideshare {

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
  }
  // Runs what is queued, then ends.
  ~Pool() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    ready_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  void Post(std::function<void()> run) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      tasks_.push_back({otelpyroscope::CarriedContext::Current(), std::move(run)});
    }
    ready_.notify_one();
  }

  // co_await pool.Resume(): what follows runs on a thread of the pool.
  auto Resume() {
    struct Awaiter {
      Pool& pool;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> waiting) {
        pool.Post([waiting] { waiting.resume(); });
      }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }

 private:
  struct Task {
    otelpyroscope::CarriedContext carried;
    std::function<void()> run;
  };

  void Work() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      ready_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      const Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      const otelpyroscope::CarriedScope scope(task.carried);
      task.run();
    }
  }

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// What a coroutine returns that somebody outside waits for. It starts at once, on the caller's
// thread.
template <class T>
class Async {
 public:
  struct promise_type {
    std::promise<T> result;
    Async get_return_object() { return Async(result.get_future()); }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_value(T value) { result.set_value(std::move(value)); }
    void unhandled_exception() { result.set_exception(std::current_exception()); }
  };

  T Wait() { return result_.get(); }

 private:
  explicit Async(std::future<T> result) : result_(std::move(result)) {}
  std::future<T> result_;
};

}  // namespace rideshare
