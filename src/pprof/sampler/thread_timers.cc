#include "src/pprof/sampler/thread_timers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "src/pprof/sampler/own_threads.h"
#include "src/pprof/sampler/timer.h"

namespace pprof::sampler {
namespace {

using handler::ThreadRecord;
using labels::ThreadRegistry;
using Lock = std::lock_guard<std::mutex>;

constexpr const char* kTaskPath = "/proc/self/task";
constexpr std::int32_t kCallingThread = 0;

// Scans: how often, what part of a processor they may take at most, see ScanPace.
constexpr std::int64_t kScanNs = 1000000000;
constexpr std::int64_t kRarityOfNewest = 4000;
constexpr std::int64_t kRarityOfAll = 5000;
constexpr std::int64_t kRarityWhenSomeEnded = 1000;
constexpr std::uint64_t kFewThreads = 64;
constexpr std::int64_t kFindsThreadsNs = 10000000000;

// Beyond this, reading every thread's clock would hold up threads that register.
constexpr std::size_t kMostClocks = 2000;
// A timer is that late only if its thread blocks the signal or stays long in the kernel.
constexpr std::int64_t kLatePeriods = 16;

std::uint64_t KnownThreads() noexcept {
  ThreadRegistry& registry = ThreadRegistry::Get();
  const Lock lock(registry.mutex());
  return registry.size();
}

bool ThreadGone(std::int32_t tid) noexcept {
  return syscall(SYS_tgkill, getpid(), tid, 0) != 0 && errno == ESRCH;
}

// SigBlk of /proc/self/task/<tid>/status (proc(5)): bit n - 1 stands for signal n.
bool BlocksSigprof(std::int32_t tid) noexcept {
  char path[64];
  std::snprintf(path, sizeof path, "%s/%d/status", kTaskPath, tid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char text[4096];
  const ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  if (size <= 0) return false;
  text[size] = '\0';
  const char* line = std::strstr(text, "SigBlk:");
  if (line == nullptr) return false;
  return (std::strtoull(line + 7, nullptr, 16) >> (SIGPROF - 1) & 1) != 0;
}

}  // namespace

void ThreadTimers::Start(std::int64_t period_ns, std::uint32_t session) noexcept {
  ThreadRegistry& registry = ThreadRegistry::Get();
  {
    const Lock lock(registry.mutex());
    period_ns_ = period_ns;
    session_ = session;
    if (getrandom(&random_, sizeof random_, GRND_NONBLOCK) != sizeof random_) {
      random_ = static_cast<std::uint64_t>(MonotonicNs());
    }
    random_ |= 1;
    books_.Reset(period_ns);
    operations_.Reset(period_ns);
    exit_tail_.Reset();
    off_since_ns_ = -1;
    registry.SetObserver(this);
    registry.ForEach([&](ThreadRecord& record) { Arm(record, false); });
  }
  TaskDirectory tasks;  // the collector may be using the other one
  ScanWork work = BeginScan();
  ScanAll(tasks, &work);
  const Lock lock(registry.mutex());
  first_scan_done_ = true;
  ended_ns_ = unseen_accounted_ns_ = unseen_before_ns_ = 0;
  SumOfThreads();
  unseen_before_ns_ = NotOfKnownThreads();
}

void ThreadTimers::Stop() noexcept {
  ThreadRegistry& registry = ThreadRegistry::Get();
  const Lock lock(registry.mutex());
  first_scan_done_ = false;
  registry.SetObserver(nullptr);
  registry.ForEach([&](ThreadRecord& record) { Close(record); });
  books_.Add(Special::kExitCorrection, operations_.Settle() + operations_.Clear());
  // Without a hook at their end nobody would notice that these end.
  for (std::uint32_t i = 0; i < registry.high_water(); ++i) {
    ThreadRecord& record = handler::g_shared.records.load(std::memory_order_relaxed)[i];
    if (record.tid != 0 && !record.registered) registry.Release(record);
  }
}

void ThreadTimers::TurnOff(Special frame) noexcept {
  Stop();
  const Lock lock(ThreadRegistry::Get().mutex());
  off_frame_ = frame;
  off_since_ns_ = ProcessCpuNs() - OwnThreadsCpuNs();
}

std::int64_t ThreadTimers::RandomPhase() noexcept {
  random_ ^= random_ << 13;  // xorshift64 (Marsaglia 2003)
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return 1 + static_cast<std::int64_t>(random_ % static_cast<std::uint64_t>(period_ns_));
}

void ThreadTimers::Arm(ThreadRecord& record, bool registering) noexcept {
  if (record.session == session_ && (record.timer >= 0 || record.refused)) return;
  record.session = session_;
  record.refused = false;
  record.epoch++;
  const auto magic =
      static_cast<std::uint16_t>(handler::g_shared.magic.load(std::memory_order_relaxed));
  const std::uint64_t cookie =
      handler::MakeCookie(magic, record.epoch, ThreadRegistry::IndexOf(record));
  record.delivered.store(0, std::memory_order_relaxed);
  const std::int64_t cpu = ThreadCpuNs(record.tid);
  if (cpu < 0) return Refuse(record, errno);  // or it ended meanwhile: the next scan reaps it
  // What a thread that was born while sampling used until now no timer saw: its exit correction
  // will make up for it, or, since a thread found by a scan may end without a hook, the comparison
  // with the process's clock.
  record.cpu_at_arm_ns = first_scan_done_ && registering ? 0 : cpu;
  record.unseen_ns = first_scan_done_ && !registering ? cpu : 0;
  record.cookie.store(cookie, std::memory_order_release);
  const std::int32_t timer = CreateThreadTimer(record.tid, cookie, RandomPhase(), period_ns_);
  if (timer < 0) return Refuse(record, -timer);
  record.timer = timer;
  stats_.created.fetch_add(1, std::memory_order_relaxed);
  armed_.fetch_add(1, std::memory_order_relaxed);
}

void ThreadTimers::Refuse(ThreadRecord& record, int error) noexcept {
  record.cookie.store(0, std::memory_order_relaxed);
  if (ThreadGone(record.tid)) return;  // EINVAL or ESRCH: it ended meanwhile
  record.refused = true;
  last_error_.store(error, std::memory_order_relaxed);
  stats_.refused.fetch_add(1, std::memory_order_relaxed);
}

// CPU time that the samples of a thread with a timer do not stand for yet; negative if they stand
// for more.
std::int64_t ThreadTimers::Undelivered(const ThreadRecord& record,
                                       std::int64_t cpu_ns) const noexcept {
  const auto delivered =
      static_cast<std::int64_t>(record.delivered.load(std::memory_order_relaxed));
  return cpu_ns - record.cpu_at_arm_ns - delivered * period_ns_;
}

// A thread without a timer: its CPU time goes under a named frame as it is read.
void ThreadTimers::AccountRefused(ThreadRecord& record) noexcept {
  if (!record.refused) return;
  const std::int64_t now = ThreadCpuNs(record.tid);
  if (now < record.cpu_at_arm_ns) return;
  books_.Add(Special::kTimerRefused, now - record.cpu_at_arm_ns);
  record.cpu_at_arm_ns = now;
}

// A thread that blocks SIGPROF: its CPU time so far goes under a named frame, and a fresh timer
// counts from here, so that nothing counts twice when it lets the signal in.
void ThreadTimers::AccountBlocked(ThreadRecord& record, std::int64_t cpu_ns) noexcept {
  if (record.timer < 0 || Undelivered(record, cpu_ns) < kLatePeriods * period_ns_) return;
  if (!BlocksSigprof(record.tid)) return;
  const std::int64_t unseen_ns = record.unseen_ns;
  Disarm(record);
  const std::int64_t missed = Undelivered(record, cpu_ns);
  Arm(record, false);
  record.unseen_ns = unseen_ns;
  if (record.cpu_at_arm_ns < cpu_ns) return;  // ended meanwhile
  books_.Add(Special::kSignalBlocked, missed + record.cpu_at_arm_ns - cpu_ns);
}

// Totals become exact here: what the thread used beyond what its timer delivered goes into one
// balance of the process.
std::int64_t ThreadTimers::Close(ThreadRecord& record) noexcept {
  AccountRefused(record);
  const bool armed = record.timer >= 0;
  Disarm(record);  // costs CPU time itself: before the clock is read
  const std::int64_t cpu = ThreadCpuNs(record.tid);
  if (!armed || cpu < 0) return cpu;
  const std::int64_t missed = Undelivered(record, cpu);
  const bool blocked = missed >= kLatePeriods * period_ns_ && BlocksSigprof(record.tid);
  books_.Add(blocked ? Special::kSignalBlocked : Special::kExitCorrection, missed);
  return cpu;
}

// Of a thread that ended without a hook: its last CPU time nobody read, so only what samples and
// books stand for.
std::int64_t ThreadTimers::SeenOfEnded(const ThreadRecord& record) const noexcept {
  const std::int64_t before_timer = record.cpu_at_arm_ns - record.unseen_ns;
  if (record.timer < 0) return before_timer;
  return before_timer - Undelivered(record, record.cpu_at_arm_ns);
}

// CPU time of all threads in the registry that samples and books can stand for.
std::int64_t ThreadTimers::SumOfThreads() noexcept {
  std::int64_t sum = OwnThreadsCpuNs();
  ThreadRegistry::Get().ForEach([&](ThreadRecord& record) {
    if (IsOwnThread(record.tid)) return;
    const std::int64_t cpu = ThreadCpuNs(record.tid);
    sum += cpu >= 0 ? cpu - record.unseen_ns : SeenOfEnded(record);
  });
  return sum;
}

// What the process's clock holds beyond its known threads. Of a thread that runs on another
// processor it knows the time of the last tick only, unless somebody has just read that thread's
// clock. REQUIRES: somebody has. What runs meanwhile makes the difference too small by
// microseconds, never too large.
std::int64_t ThreadTimers::NotOfKnownThreads() noexcept {
  const std::int64_t process = ProcessCpuNs();
  return process - SumOfThreads() - ended_ns_ - unseen_before_ns_;
}

// The process's clock knows of threads that ended between two scans, and of what registered threads
// used after their exit hook. Registry lock held since the clocks were read for the first time, so
// that no registered thread ends between the readings.
void ThreadTimers::AccountUnseen() noexcept {
  if (!first_scan_done_ || ThreadRegistry::Get().size() > kMostClocks) return;
  const std::int64_t unseen = NotOfKnownThreads();
  const std::int64_t fresh = unseen - unseen_accounted_ns_;
  if (fresh <= 0) return;
  unseen_accounted_ns_ = unseen;
  const std::int64_t tails = exit_tail_.Share(fresh);
  books_.Add(Special::kExitEstimated, tails);
  books_.Add(Special::kUnseenThreads, fresh - tails);
}

void ThreadTimers::Settle() noexcept {
  ThreadRegistry& registry = ThreadRegistry::Get();
  const Lock lock(registry.mutex());
  if (off_since_ns_ >= 0) {
    const std::int64_t now = ProcessCpuNs() - OwnThreadsCpuNs();
    books_.Add(off_frame_, now - std::exchange(off_since_ns_, now));
  }
  const bool look = registry.size() <= kMostClocks;
  if (look || stats_.refused.load(std::memory_order_relaxed) > 0) {
    registry.ForEach([&](ThreadRecord& record) {
      AccountRefused(record);
      if (look) AccountBlocked(record, ThreadCpuNs(record.tid));
    });
  }
  AccountUnseen();
}

void ThreadTimers::Disarm(ThreadRecord& record) noexcept {
  record.cookie.store(0, std::memory_order_release);
  record.refused = false;
  if (record.timer < 0) return;
  DeleteThreadTimer(record.timer);
  record.timer = -1;
  armed_.fetch_sub(1, std::memory_order_relaxed);
}

void ThreadTimers::Forget(std::int32_t tid) noexcept {
  ThreadRegistry& registry = ThreadRegistry::Get();
  const Lock lock(registry.mutex());
  ThreadRecord* record = registry.Find(tid);
  if (record == nullptr) return;
  Disarm(*record);
  if (!record->registered) registry.Release(*record);
}

void ThreadTimers::OnThreadRegistered(ThreadRecord& record) noexcept {
  if (IsOwnThread(record.tid)) return;
  // The scan may have armed it already; or an ended thread had this tid and was not reaped yet. All
  // threads of before were found by the scan of Start, so one that is not known began later.
  const bool known = record.timer >= 0 && !ThreadTimerOrphaned(record.timer);
  if (record.timer >= 0 && !known) Disarm(record);
  if (!known) Arm(record, true);
  // The exit hook will make up for what it used before the scan found it.
  record.cpu_at_arm_ns -= std::exchange(record.unseen_ns, 0);
  sigset_t blocked;
  if (pthread_sigmask(SIG_BLOCK, nullptr, &blocked) == 0 && sigismember(&blocked, SIGPROF) == 1) {
    stats_.signal_blocked.fetch_add(1, std::memory_order_relaxed);
  }
}

void ThreadTimers::OnFirstScope(ThreadRecord& record, const labels::ScopeCpu& measured) noexcept {
  if (record.timer < 0 || record.epoch != measured.epoch) return;
  // So long a scope has samples of its own.
  if (measured.cpu_ns >= kLatePeriods * period_ns_) return;
  const std::int64_t missed =
      measured.cpu_ns - static_cast<std::int64_t>(measured.delivered) * period_ns_;
  if (operations_.Add(measured.name, measured.labels, missed)) record.cpu_at_arm_ns += missed;
}

void ThreadTimers::OnThreadExit(ThreadRecord& record) noexcept {
  const std::int64_t cpu = Close(record);
  if (IsOwnThread(record.tid)) return;
  ended_ns_ += cpu - record.unseen_ns;
  exit_tail_.ThreadEnded();
}

void ThreadTimers::SettleOperations() noexcept {
  const Lock lock(ThreadRegistry::Get().mutex());
  books_.Add(Special::kExitCorrection, operations_.Settle());
}

void ThreadTimers::TakeOwed(std::vector<Owed>* owed,
                            std::vector<OperationBooks::Sample>* of_operations) {
  const Lock lock(ThreadRegistry::Get().mutex());
  books_.TakeOwed(owed);
  operations_.TakeOwed(of_operations);
}

void ThreadTimers::BeginScans() noexcept {
  const std::int64_t now = MonotonicNs();  // Start scans itself
  newest_pace_.Done(now);
  all_pace_.Done(now);
  // A program that has just begun may be starting its threads.
  found_ns_.store(now, std::memory_order_relaxed);
  unknown_ = 0;
}

bool ThreadTimers::FindsThreads(std::int64_t now_ns) const noexcept {
  return now_ns - found_ns_.load(std::memory_order_relaxed) < kFindsThreadsNs;
}

// Two readings, not one: while threads register in masses the unknown may be off by a few, and a
// scan then looks at more threads than it must.
ThreadTimers::ThreadCount ThreadTimers::CountThreads() noexcept {
  const std::uint64_t known = KnownThreads() + CountOwnThreads();
  const std::uint64_t links = tasks_.Links();
  if (links < TaskDirectory::kOwnLinks) return {};
  const std::uint64_t threads = links - TaskDirectory::kOwnLinks;
  return {threads, static_cast<std::int64_t>(threads - known)};
}

// How many threads there are costs one system call; which, time for each of them. Threads that
// register and end by their hooks leave the number of the unknown as it is.
void ThreadTimers::Scan() noexcept {
  const auto [threads, unknown] = CountThreads();
  if (threads == 0) return ScanFailed(errno);
  const std::int64_t more = unknown - unknown_;
  const std::int64_t now = MonotonicNs();
  const std::int64_t rarity = unknown < 0 ? kRarityWhenSomeEnded : kRarityOfAll;
  const bool all = all_pace_.Due(now, kScanNs, rarity, threads);
  const bool cheap = threads <= kFewThreads;  // then new ones are not kept waiting
  if (!all && !(more != 0 && cheap) &&
      !newest_pace_.Due(now, more != 0 ? 0 : kScanNs, kRarityOfNewest, threads)) {
    return;
  }
  const std::int64_t cpu_before = ThreadCpuNs(kCallingThread);
  ScanWork work = BeginScan();
  if (!(all ? ScanAll(tasks_, &work) : ScanNewest(threads, more, &work))) return;
  if (all) Settle();
  const std::int64_t cost = ThreadCpuNs(kCallingThread) - cpu_before - work.arming_ns;
  (all ? all_pace_ : newest_pace_).Measured(cost, threads);
  if (all) all_pace_.Done(now);
  newest_pace_.Done(now);
  if (work.found > 0) found_ns_.store(now, std::memory_order_relaxed);
  unknown_ = all ? CountThreads().unknown : unknown - work.found;
}

void ThreadTimers::ScanFailed(int error) noexcept {
  scan_error_.store(error, std::memory_order_relaxed);
  stats_.scans_failed.fetch_add(1, std::memory_order_relaxed);
}

ThreadTimers::ScanWork ThreadTimers::BeginScan() noexcept {
  const Lock lock(ThreadRegistry::Get().mutex());
  ScanWork work;
  work.number = ++scans_;
  return work;
}

bool ThreadTimers::ScanAll(TaskDirectory& tasks, ScanWork* work) noexcept {
  if (!tasks.List(0, [&](std::int32_t tid) { VisitThread(tid, work); })) {
    ScanFailed(errno);
    return false;
  }
  Reap(*work);
  return true;
}

// The kernel lists threads in the order of their creation: behind a thread that an earlier scan
// found stand the new ones, and before it none. `more`: how many more are unknown than after the
// last scan. When so many are found, what else is new has registered, and it may be thousands.
bool ThreadTimers::ScanNewest(std::uint64_t threads, std::int64_t more, ScanWork* work) noexcept {
  for (std::uint64_t count = kFewThreads; !work->meets_earlier; count *= 8) {
    const std::uint64_t skip = threads > count ? threads - count : 0;
    if (!tasks_.List(skip, [&](std::int32_t tid) { VisitThread(tid, work); })) {
      ScanFailed(errno);
      return false;
    }
    if (skip == 0 || work->found >= more) break;
  }
  return true;
}

void ThreadTimers::VisitThread(std::int32_t tid, ScanWork* work) noexcept {
  if (IsOwnThread(tid)) return;
  ThreadRegistry& registry = ThreadRegistry::Get();
  const Lock lock(registry.mutex());
  if (registry.observer() != this) return;
  ThreadRecord* record = registry.FindOrAdd(tid);
  // An ended thread had this number and was not reaped yet.
  if (record != nullptr && record->timer >= 0 && !record->registered &&
      ThreadTimerOrphaned(record->timer)) {
    ReapRecord(*record);
    record = registry.FindOrAdd(tid);
  }
  if (record == nullptr) return;
  if (record->seen != 0 && record->seen != work->number) work->meets_earlier = true;
  record->seen = work->number;
  if (record->timer < 0 && !record->refused) ArmFound(*record, work);
}

void ThreadTimers::ArmFound(ThreadRecord& record, ScanWork* work) noexcept {
  const std::int64_t cpu_before = ThreadCpuNs(kCallingThread);
  Arm(record, false);
  if (!record.registered) {
    ++work->found;
    stats_.scanned.fetch_add(1, std::memory_order_relaxed);
  }
  if (BlocksSigprof(record.tid)) stats_.signal_blocked.fetch_add(1, std::memory_order_relaxed);
  work->arming_ns += ThreadCpuNs(kCallingThread) - cpu_before;
}

void ThreadTimers::Reap(const ScanWork& work) noexcept {
  ThreadRegistry& registry = ThreadRegistry::Get();
  const Lock lock(registry.mutex());
  for (std::uint32_t i = 0; i < registry.high_water(); ++i) {
    ThreadRecord& record = handler::g_shared.records.load(std::memory_order_relaxed)[i];
    if (record.tid != 0 && record.seen != work.number && ThreadGone(record.tid)) ReapRecord(record);
  }
}

void ThreadTimers::ReapRecord(ThreadRecord& record) noexcept {
  // A timer of an ended thread stays, and counts against RLIMIT_SIGPENDING, until it is deleted.
  if (record.timer >= 0) stats_.reaped.fetch_add(1, std::memory_order_relaxed);
  ended_ns_ += SeenOfEnded(record);
  exit_tail_.Disturbed();
  Disarm(record);
  ThreadRegistry::Get().Release(record);
}

}  // namespace pprof::sampler
