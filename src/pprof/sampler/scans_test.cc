// What scans of the threads rest on: their pace, and the directory.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "src/pprof/sampler/scan_pace.h"
#include "src/pprof/sampler/task_directory.h"

namespace pprof::sampler {
namespace {

constexpr std::int64_t kSecond = 1000000000;

TEST(ScanPace, TakesItsShareAndNoMore) {
  ScanPace pace(2000);
  pace.Done(0);
  EXPECT_FALSE(pace.Due(kSecond - 1, kSecond, 5000, 10));
  EXPECT_TRUE(pace.Due(kSecond, kSecond, 5000, 10));
  // 10,000 threads: 20 ms are expected.
  EXPECT_FALSE(pace.Due(100 * kSecond - 1, kSecond, 5000, 10000));
  EXPECT_TRUE(pace.Due(100 * kSecond, kSecond, 5000, 10000));
}

TEST(ScanPace, KnowsWhatTheLastOneTook) {
  ScanPace pace(2000);
  pace.Done(0);
  pace.Measured(1000000, 100);  // 10 us a thread, some of it whatever their number
  EXPECT_FALSE(pace.Due(5 * kSecond - 1, kSecond, 5000, 100));
  EXPECT_TRUE(pace.Due(5 * kSecond, kSecond, 5000, 100));
  EXPECT_TRUE(pace.Due(5 * kSecond, kSecond, 5000, 50));
  // 1,000 more, 2 us each.
  EXPECT_FALSE(pace.Due(15 * kSecond - 1, kSecond, 5000, 1100));
  EXPECT_TRUE(pace.Due(15 * kSecond, kSecond, 5000, 1100));
}

TEST(ScanPace, AClockThatFailsCostsNothing) {
  ScanPace pace(2000);
  pace.Done(0);
  pace.Measured(-1, 100);
  EXPECT_TRUE(pace.Due(kSecond, kSecond, 5000, 100));
}

// Waiting threads in the order of their creation.
class Waiting {
 public:
  explicit Waiting(int count) {
    for (int i = 0; i < count; ++i) {
      std::atomic<int> tid{0};
      threads_.emplace_back([&] {
        tid = static_cast<int>(syscall(SYS_gettid));
        while (!stop_) usleep(1000);
      });
      while (tid == 0) usleep(100);
      tids.push_back(tid);
    }
  }
  ~Waiting() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  std::vector<int> tids;

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

std::vector<int> Listed(TaskDirectory& tasks, std::uint64_t skip) {
  std::vector<int> tids;
  EXPECT_TRUE(tasks.List(skip, [&](int tid) { tids.push_back(tid); }));
  return tids;
}

TEST(TaskDirectory, ListsThreadsInTheOrderOfTheirCreationFromAnyOneOn) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer's runtime starts a thread of its own with the first";
#endif
  TaskDirectory tasks;
  const std::vector<int> before = Listed(tasks, 0);
  const Waiting waiting(200);
  std::vector<int> all = before;
  all.insert(all.end(), waiting.tids.begin(), waiting.tids.end());
  EXPECT_EQ(tasks.Links() - TaskDirectory::kOwnLinks, all.size());
  EXPECT_EQ(Listed(tasks, 0), all);
  EXPECT_EQ(Listed(tasks, before.size()), waiting.tids);
  EXPECT_EQ(Listed(tasks, all.size() - 1), std::vector<int>{waiting.tids.back()});
  EXPECT_EQ(Listed(tasks, all.size()), std::vector<int>());
}

// Its number, or -1.
int DescriptorOfTaskDirectory() {
  struct stat wanted = {};
  EXPECT_EQ(stat("/proc/self/task", &wanted), 0);
  for (int fd = 0; fd < 1000; ++fd) {
    struct stat info = {};
    if (fstat(fd, &info) == 0 && info.st_dev == wanted.st_dev && info.st_ino == wanted.st_ino) {
      return fd;
    }
  }
  return -1;
}

TEST(TaskDirectory, LeavesTheHostsFileAloneThatGotItsNumber) {
  static TaskDirectory tasks;  // for leak checkers: it cannot free the stream whose file it lost
  const std::uint64_t links = tasks.Links();
  ASSERT_GT(links, TaskDirectory::kOwnLinks);
  const int number = DescriptorOfTaskDirectory();
  ASSERT_GE(number, 0);
  close(number);
  ASSERT_EQ(open("/dev/null", O_RDONLY), number);
  EXPECT_EQ(tasks.Links(), links);
  EXPECT_EQ(Listed(tasks, 0).size(), links - TaskDirectory::kOwnLinks);
  const int second = DescriptorOfTaskDirectory();
  EXPECT_GT(second, number);
  tasks.Close();
  struct stat info = {};
  EXPECT_NE(fstat(second, &info), 0);  // its own
  EXPECT_EQ(fstat(number, &info), 0);
  close(number);
}

}  // namespace
}  // namespace pprof::sampler
