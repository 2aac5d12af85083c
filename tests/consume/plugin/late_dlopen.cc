// A program that does not know the profiler loads a plugin that contains it, when all its threads
// run already, and lets go of the plugin again.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "plugin.h"

// Threads that wait for work.
class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
  }
  // Each thread once.
  void Each(const std::function<void()>& work) {
    std::unique_lock<std::mutex> lock(mutex_);
    work_ = work;
    ++round_;
    left_ = threads_.size();
    changed_.notify_all();
    changed_.wait(lock, [this] { return left_ == 0; });
  }
  void End() {
    Each(nullptr);
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void Run() {
    for (int seen = 0;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [&] { return round_ > seen; });
      seen = round_;
      const std::function<void()> work = work_;
      lock.unlock();
      if (work) work();
      lock.lock();
      if (--left_ == 0) changed_.notify_all();
      if (!work) return;
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> work_;
  int round_ = 0;
  std::size_t left_ = 0;
  std::vector<std::thread> threads_;
};

static void ProfileWork(const Plugin& plugin, Pool* pool) {
  const unsigned long long before = plugin.samples();
  const unsigned long long labelled_before = plugin.labelled();
  const char* const failure = plugin.start();
  if (*failure != '\0') std::fprintf(stderr, "%s\n", failure);
  EXPECT(*failure == '\0');
  pool->Each([&plugin] { plugin.work(0.2); });
  EXPECT(plugin.stop());
  const unsigned long long samples = plugin.samples() - before;
  const unsigned long long labelled = plugin.labelled() - labelled_before;
  std::printf("%llu samples, %llu with the plugin's label\n", samples, labelled);
  EXPECT(samples >= 60);
  EXPECT(labelled > 0);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  Pool old_threads(4);
  old_threads.Each([] {});
  const Plugin plugin = Load(argv[1]);
  ProfileWork(plugin, &old_threads);
  EXPECT(dlclose(plugin.handle) == 0);
  // Whoever still calls into the plugin must find it: handler, hooks of fork and of thread ends.
  EXPECT(raise(SIGPROF) == 0);
  const pid_t child = fork();
  if (child == 0) _exit(0);
  int status = 0;
  EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  old_threads.End();
  Pool new_threads(4);
  const Plugin again = Load(argv[1]);
  ProfileWork(again, &new_threads);
  EXPECT(again.start()[0] == '\0');  // goes on at the end of the program
  EXPECT(dlclose(again.handle) == 0);
  new_threads.Each([&again] { again.work(0.05); });
  new_threads.End();
  return 0;
}
