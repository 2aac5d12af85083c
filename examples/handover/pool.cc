// A plain thread pool: the queue holds what to do and for whom.

#include <otelpyroscope/carried_context.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "examples/handover/requests.h"

namespace {

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
  }
  ~Pool() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    ready_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  std::future<void> Post(std::function<void()> run) {
    Task task{otelpyroscope::CarriedContext::Current(), std::packaged_task<void()>(std::move(run))};
    std::future<void> done = task.run.get_future();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    ready_.notify_one();
    return done;
  }

 private:
  struct Task {
    otelpyroscope::CarriedContext carried;
    std::packaged_task<void()> run;
  };

  void Run() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      ready_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      Task task = std::move(tasks_.front());
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

}  // namespace

int main() {
  Pool pool(2);
  return handover::RunTwoRequests([&pool](const handover::Work& work) {
    std::vector<std::future<void>> pieces;
    pieces.reserve(4);
    for (int i = 0; i < 4; ++i) pieces.push_back(pool.Post(work));
    for (auto& piece : pieces) piece.get();
  });
}
