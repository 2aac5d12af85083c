// A random program of context operations that can be run twice: once against the API's default
// storage, once with ours installed half-way. Both runs draw the same numbers, so their logs of
// return values and of what was current must be equal. Used by the differential tests.
#pragma once

#include <opentelemetry/context/context.h>
#include <opentelemetry/context/runtime_context.h>

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

namespace otelpyroscope_test {

using opentelemetry::context::Context;
using opentelemetry::context::RuntimeContext;

// A thread that runs one job at a time while the caller waits: many threads, one order.
class Lane {
 public:
  Lane() : thread_([this] { Loop(); }) {}
  ~Lane() {
    Post(nullptr);
    thread_.join();
  }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  void Run(std::function<void()> job) {
    Post(std::move(job));
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !has_job_; });
  }

 private:
  void Post(std::function<void()> job) {
    const std::lock_guard<std::mutex> lock(mutex_);
    job_ = std::move(job);
    has_job_ = true;
    changed_.notify_all();
  }
  void Loop() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return has_job_; });
      const bool last = !job_;
      if (!last) job_();
      has_job_ = false;
      changed_.notify_all();
      if (last) return;
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> job_;
  bool has_job_ = false;
  std::thread thread_;
};

// One run. The caller fills `contexts` and may change some between two calls of Operate.
class ContextOperations {
 public:
  static constexpr std::size_t kContexts = 16;
  static constexpr std::uint8_t kUnknown = 0xff;  // current is none of `contexts`
  using TokenPointer = decltype(RuntimeContext::Attach(std::declval<Context>()));

  std::array<Context, kContexts> contexts;
  // Called after each operation on the thread that did it, with the index of what is current.
  std::function<void(std::uint8_t current)> after_each;

  // One byte for what an operation returned, one for what was current after it.
  const std::vector<std::uint8_t>& log() const { return log_; }

  // Most operations run on two lasting threads, which pass tokens to each other; some on a thread
  // that ends while its contexts are attached.
  void Operate(std::size_t count) {
    constexpr std::size_t kBatch = 100;
    for (std::size_t done = 0; done < count; done += kBatch) {
      const auto batch = [this] {
        for (std::size_t i = 0; i < kBatch; ++i) Step();
      };
      const std::uint32_t where = Draw(20);
      if (where < 11) {
        first_.Run(batch);
      } else if (where < 18) {
        second_.Run(batch);
      } else {
        std::thread(batch).join();
      }
    }
  }

 private:
  static constexpr std::size_t kMaxTokens = 48;

  std::uint32_t Draw(std::size_t below) {
    return static_cast<std::uint32_t>(random_() % below);  // the same on every platform
  }

  void Step() {
    std::uint8_t returned = 2;
    const std::uint32_t what = Draw(100);
    if (tokens_.empty() || (what < 48 && tokens_.size() < kMaxTokens)) {
      tokens_.push_back(RuntimeContext::Attach(contexts[Draw(kContexts)]));
    } else if (what < 78) {
      tokens_.pop_back();  // as scopes end
    } else if (what < 88) {
      const std::size_t index = Draw(tokens_.size());
      tokens_.erase(tokens_.begin() + static_cast<std::ptrdiff_t>(index));
    } else {  // by hand; the token's own end detaches once more
      returned = RuntimeContext::Detach(*tokens_[Draw(tokens_.size())]) ? 1 : 0;
    }
    log_.push_back(returned);
    log_.push_back(IndexOfCurrent());
    if (after_each) after_each(log_.back());
  }

  std::uint8_t IndexOfCurrent() const {
    const Context current = RuntimeContext::GetCurrent();
    for (std::size_t i = 0; i < kContexts; ++i) {
      if (contexts[i] == current) return static_cast<std::uint8_t>(i);
    }
    return kUnknown;
  }

  std::mt19937 random_{20261123};
  std::vector<std::uint8_t> log_;
  Lane first_;
  Lane second_;
  std::vector<TokenPointer> tokens_;  // destroyed first, on the caller's thread
};

}  // namespace otelpyroscope_test
