// Which blocking system calls of the host return EINTR when a sample interrupts them: exactly those
// that docs/signal-safety.md lists. A thread that sleeps uses no CPU time, so its timer hardly ever
// expires there: here another thread sends it our signal a thousand times a second.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "src/pprof/handler/thread_record.h"
#include "src/pprof/labels/thread.h"
#include "tests/support/process.h"

namespace pprof {
namespace {

constexpr int kBlockedUs = 20000;

// Sends our signal to the thread that makes it.
class Poker {
 public:
  Poker() {
    info_.si_signo = SIGPROF;
    info_.si_code = SI_TIMER;
    info_.si_value.sival_ptr =
        reinterpret_cast<void*>(labels::CurrentThread()->record->cookie.load());
    thread_ = std::thread([this, tid = syscall(SYS_gettid)] {
      for (; !stop_; usleep(1000)) {
        syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, SIGPROF, &info_);
      }
    });
  }
  ~Poker() {
    stop_ = true;
    thread_.join();
  }

 private:
  siginfo_t info_ = {};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// Runs `release` on another thread while `call` blocks. True: the call said EINTR.
bool Interrupted(const std::function<void()>& release, const std::function<long()>& call) {
  std::thread helper([&] {
    usleep(kBlockedUs);
    release();
  });
  errno = 0;
  const bool interrupted = call() < 0 && errno == EINTR;
  helper.join();
  return interrupted;
}

// Calls that take what others need: a fresh pair of descriptors each time.
struct Pair {
  int fd[2] = {-1, -1};
  explicit Pair(bool pipe_wanted) {
    const int failed = pipe_wanted ? pipe(fd) : socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
    EXPECT_EQ(failed, 0);
  }
  ~Pair() {
    close(fd[0]);
    close(fd[1]);
  }
  void Give() const { EXPECT_EQ(write(fd[1], "x", 1), 1); }
};

char g_byte;

bool Read() {
  const Pair pair(true);
  return Interrupted([&] { pair.Give(); }, [&] { return read(pair.fd[0], &g_byte, 1); });
}
bool Write() {
  const Pair pair(true);
  std::vector<char> full(static_cast<std::size_t>(fcntl(pair.fd[1], F_GETPIPE_SZ)), 'x');
  EXPECT_GT(write(pair.fd[1], full.data(), full.size()), 0);
  return Interrupted([&] { EXPECT_GT(read(pair.fd[0], full.data(), full.size()), 0); },
                     [&] { return write(pair.fd[1], "x", 1); });
}
bool Receive() {
  const Pair pair(false);
  return Interrupted([&] { pair.Give(); }, [&] { return recv(pair.fd[0], &g_byte, 1, 0); });
}
bool ReceiveWithTimeout() {
  const Pair pair(false);
  const timeval ten = {10, 0};
  EXPECT_EQ(setsockopt(pair.fd[0], SOL_SOCKET, SO_RCVTIMEO, &ten, sizeof ten), 0);
  return Interrupted([&] { pair.Give(); }, [&] { return recv(pair.fd[0], &g_byte, 1, 0); });
}
bool Accept() {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;  // and no name: the kernel gives one
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  const int client = socket(AF_UNIX, SOCK_STREAM, 0);
  socklen_t size = sizeof(sa_family_t);
  EXPECT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(listen(listener, 1), 0);
  size = sizeof address;
  EXPECT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  long accepted = -1;
  const bool interrupted = Interrupted(
      [&] { EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), size), 0); },
      [&] { return accepted = accept(listener, nullptr, nullptr); });
  if (accepted >= 0) close(static_cast<int>(accepted));
  close(client);
  close(listener);
  return interrupted;
}
bool WaitForChild() {
  const pid_t child = fork();
  if (child == 0) {
    usleep(kBlockedUs);
    _exit(0);
  }
  errno = 0;
  const bool interrupted = waitpid(child, nullptr, 0) < 0 && errno == EINTR;
  if (interrupted) waitpid(child, nullptr, 0);
  return interrupted;
}
bool Semaphore() {
  sem_t semaphore;
  sem_init(&semaphore, 0, 0);
  return Interrupted([&] { sem_post(&semaphore); }, [&] { return sem_wait(&semaphore); });
}
bool Condition() {
  std::mutex mutex;
  std::condition_variable changed;
  std::unique_lock<std::mutex> lock(mutex);
  errno = 0;  // by the standard it never sees EINTR; that it comes back is what is tested
  changed.wait_for(lock, std::chrono::microseconds(kBlockedUs), [] { return false; });
  return false;
}

bool Nanosleep() {
  const timespec time = {0, kBlockedUs * 1000};
  return nanosleep(&time, nullptr) < 0 && errno == EINTR;
}
bool Usleep() { return usleep(kBlockedUs) < 0 && errno == EINTR; }
bool Sleep() { return sleep(2) > 0; }  // what is left, in whole seconds
bool Poll() { return poll(nullptr, 0, kBlockedUs / 1000) < 0 && errno == EINTR; }
bool Select() {
  timeval time = {0, kBlockedUs};
  return select(0, nullptr, nullptr, nullptr, &time) < 0 && errno == EINTR;
}
bool EpollWait() {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event;
  const bool interrupted = epoll_wait(epoll, &event, 1, kBlockedUs / 1000) < 0 && errno == EINTR;
  close(epoll);
  return interrupted;
}
bool Semop() {
  const int set = semget(IPC_PRIVATE, 1, 0600);
  EXPECT_GE(set, 0);
  sembuf take = {0, -1, 0};
  sembuf give = {0, 1, 0};
  const bool interrupted =
      Interrupted([&] { semop(set, &give, 1); }, [&] { return semop(set, &take, 1); });
  semctl(set, 0, IPC_RMID);
  return interrupted;
}
bool SigTimedWait() {
  sigset_t none;
  sigemptyset(&none);
  const timespec time = {0, kBlockedUs * 1000};
  return sigtimedwait(&none, nullptr, &time) < 0 && errno == EINTR;
}

struct Call {
  const char* name;  // as in docs/signal-safety.md
  bool sees_eintr;
  bool (*once)();
};
constexpr Call kCalls[] = {{"read", false, Read},
                           {"write", false, Write},
                           {"recv", false, Receive},
                           {"accept", false, Accept},
                           {"waitpid", false, WaitForChild},
                           {"sem_wait", false, Semaphore},
                           {"condition_variable", false, Condition},
                           {"recv with SO_RCVTIMEO", true, ReceiveWithTimeout},
                           {"nanosleep", true, Nanosleep},
                           {"usleep", true, Usleep},
                           {"sleep", true, Sleep},
                           {"poll", true, Poll},
                           {"select", true, Select},
                           {"epoll_wait", true, EpollWait},
                           {"semop", true, Semop},
                           {"sigtimedwait", true, SigTimedWait}};

TEST(Eintr, OnlyTheCallsThatAreDocumentedSeeIt) {
  const LabelScope scope(Labels({{"k", "v"}}));
  auto profile = StartCpuProfile([](std::string_view) { return true; }, {1});
  ASSERT_TRUE(profile.ok());
  for (const Call& call : kCalls) {
    constexpr int kTimes = 10;
    int calls = 0;
    int interrupted = 0;
    const std::uint64_t before = ReadStats().deliveries;
    {
      const Poker poker;
      // On a busy machine a signal may merge with one that is pending: then some calls more.
      for (; calls < kTimes || (ReadStats().deliveries - before < 10 && calls < 3 * kTimes);
           ++calls)
        interrupted += call.once() ? 1 : 0;
    }
    EXPECT_GE(ReadStats().deliveries - before, 10u) << call.name << ": samples are missing";
    std::printf("  %-22s %2d of %d interrupted\n", call.name, interrupted, calls);
    EXPECT_EQ(interrupted > 0, call.sees_eintr) << call.name;
  }
  EXPECT_TRUE(profile->Stop().ok());
}

// By its own timer, which counts CPU time: what a host sees in fact.
TEST(Eintr, OwnTimersHardlyEverInterruptASleep) {
  auto profile = StartCpuProfile([](std::string_view) { return true; }, {1000});
  ASSERT_TRUE(profile.ok());
  int interrupted = 0;
  for (int i = 0; i < 2000; ++i) interrupted += poll(nullptr, 0, 1) < 0 && errno == EINTR ? 1 : 0;
  EXPECT_TRUE(profile->Stop().ok());
  std::printf("  %d of 2000 sleeps of a millisecond interrupted\n", interrupted);
  EXPECT_LT(interrupted, 200);
}

}  // namespace
}  // namespace pprof
