// Which threads a look at the newest finds: within a second after all were looked at, nothing else
// does. Timers are armed with a period so long that none ever fires.
#include "src/pprof/sampler/thread_timers.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "pprof/labels.h"
#include "src/pprof/sampler/timer.h"

namespace pprof::sampler {
namespace {

constexpr std::int64_t kSecond = 1000000000;
constexpr std::int64_t kNever = 100000 * kSecond;
constexpr int kMany = 100;  // more than the first few that are looked at

// Threads that wait, in the order of their creation. Those with a label have registered.
class Waiting {
 public:
  void Add(int count, bool labelled) {
    const int wanted = ready_ + count;
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this, labelled] {
        std::optional<LabelScope> scope;
        if (labelled) scope.emplace(Labels({{"k", "v"}}));
        ++ready_;
        while (!stop_) usleep(1000);
      });
    }
    while (ready_ < wanted) usleep(100);
  }
  ~Waiting() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<int> ready_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

// How many more threads scans find after `add(waiting)`, up to `wanted`, without a look at all of
// them. Nothing where the machine was too slow to tell.
template <class F>
std::optional<std::uint64_t> FoundByTheNewest(std::uint64_t wanted, F add) {
  static std::uint32_t session = 0;
  Waiting waiting;
  waiting.Add(kMany, false);
  ThreadTimers timers;
  timers.Start(kNever, ++session);
  timers.BeginScans();
  timers.Scan();  // of all: none was before
  const std::int64_t since = MonotonicNs();
  const std::uint64_t before = timers.stats().scanned;
  add(waiting);
  std::uint64_t found = 0;
  while (found < wanted && MonotonicNs() - since < kSecond * 9 / 10) {
    usleep(5000);
    timers.Scan();
    found = timers.stats().scanned - before;
  }
  const bool told = MonotonicNs() - since < kSecond;
  timers.EndScans();
  timers.Stop();
  return told ? std::optional<std::uint64_t>(found) : std::nullopt;
}

// With another try where the machine was slow.
template <class F>
void ExpectFound(std::uint64_t wanted, F add) {
  std::optional<std::uint64_t> found;
  for (int i = 0; i < 10 && found.value_or(0) < wanted; ++i) found = FoundByTheNewest(wanted, add);
  ASSERT_TRUE(found.has_value()) << "never within a second";
  EXPECT_EQ(*found, wanted);
}

TEST(NewestThreads, OneIsFound) {
  ExpectFound(1, [](Waiting& waiting) { waiting.Add(1, false); });
}

TEST(NewestThreads, ManyAreFoundTogether) {
  ExpectFound(kMany, [](Waiting& waiting) { waiting.Add(kMany, false); });
}

TEST(NewestThreads, OneIsFoundBeforeManyThatRegistered) {
  ExpectFound(1, [](Waiting& waiting) {
    waiting.Add(1, false);
    waiting.Add(kMany, true);
  });
}

TEST(NewestThreads, OneIsFoundBehindManyThatRegistered) {
  ExpectFound(1, [](Waiting& waiting) {
    waiting.Add(kMany, true);
    waiting.Add(1, false);
  });
}

}  // namespace
}  // namespace pprof::sampler
