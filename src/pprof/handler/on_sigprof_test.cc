// The handler, called as the kernel calls it: which signals it takes for its own, what it stores,
// what it counts when it cannot store.

#include <errno.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <array>
#include <cstring>

#include "src/pprof/handler/handler.h"
#include "src/pprof/handler/ring.h"
#include "src/pprof/handler/thread_record.h"

namespace pprof::handler {
namespace {

constexpr std::uint16_t kMagic = 0x4d47;
constexpr std::uint32_t kIndex = 1;

int g_passed_on = 0;
void CountAndClobberErrno(int) {
  ++g_passed_on;
  errno = EINTR;
}

class OnSigprofTest : public testing::Test {
 protected:
  OnSigprofTest() {
    static ThreadRecord records[kIndex + 1];
    std::memset(static_cast<void*>(records), 0, sizeof records);
    memory_ = mmap(nullptr, kRings * Ring::kBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_shared.rings.Init(memory_, kRings);
    g_shared.records = records;
    g_shared.magic = kMagic;
    g_shared.enabled = true;
    g_shared.pending_lost = 0;
    g_shared.wake = 0;
    g_passed_on = 0;
    record().cookie = MakeCookie(kMagic, 1, kIndex);
    getcontext(&context_);
  }
  ~OnSigprofTest() override {
    g_previous = nullptr;
    g_shared.records = nullptr;
    g_shared.enabled = false;
    g_shared.idle = false;
    g_shared.clock = nullptr;
    munmap(memory_, kRings * Ring::kBytes);
  }

  static ThreadRecord& record() { return g_shared.records.load()[kIndex]; }
  static std::uint64_t Count(const std::atomic<std::uint64_t>& counter) { return counter.load(); }

  void Signal(std::uint64_t cookie, int overrun = 0, int code = SI_TIMER) {
    siginfo_t info = {};
    info.si_signo = SIGPROF;
    info.si_code = code;
    info.si_overrun = overrun;
    info.si_value.sival_ptr = reinterpret_cast<void*>(cookie);
    OnSigprof(SIGPROF, &info, &context_);
  }
  void OwnSignal(int overrun = 0) { Signal(record().cookie, overrun); }

  static const SampleHeader* Stored() {
    Ring* ring = record().ring.load();
    return ring == nullptr ? nullptr : ring->Front();
  }

  static constexpr std::uint32_t kRings = 1;
  void* memory_;
  ucontext_t context_;
};

TEST_F(OnSigprofTest, StoresASampleWithAStack) {
  OwnSignal();
  const SampleHeader* sample = Stored();
  ASSERT_NE(sample, nullptr);
  EXPECT_EQ(sample->weight, 1u);
  EXPECT_GE(sample->frames, 1u);
  EXPECT_EQ(record().delivered, 1u);
  EXPECT_EQ(record().busy, 0u);
}

int g_clock_calls = 0;
int SevenSeconds(clockid_t, timespec* now) {
  ++g_clock_calls;
  *now = {7, 8};
  return 0;
}
int Refuse(clockid_t, timespec*) { return -EINVAL; }

// The kernel's function if there is one that works, else the system call; errno stays.
TEST_F(OnSigprofTest, TakesTheTimeFromTheKernelWithoutTouchingErrno) {
  g_shared.clock = SevenSeconds;
  errno = 4711;
  OwnSignal();
  EXPECT_EQ(errno, 4711);
  EXPECT_EQ(g_clock_calls, 1);
  ASSERT_NE(Stored(), nullptr);
  EXPECT_EQ(Stored()->time_ns, 7000000008u);
  for (VdsoClock* const clock : {static_cast<VdsoClock*>(nullptr), &Refuse}) {
    record().ring.load()->Pop();
    g_shared.clock = clock;
    timespec before;
    clock_gettime(CLOCK_MONOTONIC, &before);
    OwnSignal();
    ASSERT_NE(Stored(), nullptr);
    const auto seconds = static_cast<std::uint64_t>(before.tv_sec);
    EXPECT_GE(Stored()->time_ns, seconds * 1000000000u);
    EXPECT_LT(Stored()->time_ns, (seconds + 100) * 1000000000u);
    EXPECT_EQ(errno, 4711);
  }
}

TEST_F(OnSigprofTest, WeightCountsTheExpiriesThatTheKernelMerged) {
  const std::uint64_t overruns = Count(g_shared.counters.overruns);
  OwnSignal(3);
  ASSERT_NE(Stored(), nullptr);
  EXPECT_EQ(Stored()->weight, 4u);
  EXPECT_EQ(record().delivered, 4u);
  EXPECT_EQ(Count(g_shared.counters.overruns) - overruns, 3u);
}

TEST_F(OnSigprofTest, SignalOfAnEarlierArmingIsStaleAndNotCountedTwice) {
  const std::uint64_t stale = Count(g_shared.counters.stale_signals);
  record().cookie = MakeCookie(kMagic, 2, kIndex);  // armed anew while the signal was pending
  Signal(MakeCookie(kMagic, 1, kIndex));
  record().cookie = 0;  // disarmed
  Signal(MakeCookie(kMagic, 2, kIndex));
  EXPECT_EQ(Count(g_shared.counters.stale_signals) - stale, 2u);
  EXPECT_EQ(Stored(), nullptr);
  EXPECT_EQ(record().delivered, 0u);
}

TEST_F(OnSigprofTest, NothingIsStoredWhenNoProfileRuns) {
  const std::uint64_t stale = Count(g_shared.counters.stale_signals);
  g_shared.enabled = false;
  OwnSignal();
  EXPECT_EQ(Count(g_shared.counters.stale_signals) - stale, 1u);
  EXPECT_EQ(Stored(), nullptr);
  EXPECT_EQ(record().busy, 0u);
}

TEST_F(OnSigprofTest, OthersSignalsGoToTheHandlerOfBeforeAndErrnoSurvivesIt) {
  struct sigaction previous = {};
  previous.sa_handler = CountAndClobberErrno;
  g_previous = &previous;
  const std::uint64_t foreign = Count(g_shared.counters.foreign_signals);
  errno = 4711;
  Signal(record().cookie, 0, SI_USER);         // kill()
  Signal(record().cookie, 0, SI_QUEUE);        // sigqueue() with a value like ours
  Signal(MakeCookie(kMagic + 1, 1, kIndex));   // another copy of this library
  Signal(MakeCookie(kMagic, 1, kMaxThreads));  // no record of ours
  EXPECT_EQ(errno, 4711);
  EXPECT_EQ(g_passed_on, 4);
  EXPECT_EQ(Count(g_shared.counters.foreign_signals) - foreign, 4u);
  EXPECT_EQ(Stored(), nullptr);
}

TEST_F(OnSigprofTest, EachCopyOfTheLibraryPassesASignalOnOnce) {
  struct sigaction previous = {};
  previous.sa_handler = CountAndClobberErrno;
  g_previous = &previous;
  siginfo_t info = {};
  info.si_code = SI_USER;
  for (int i = 0; i < 2; ++i) OnSigprof(SIGPROF, &info, &context_);
  EXPECT_EQ(g_passed_on, 1);
  g_shared.magic = kMagic + 2;  // the copy below it
  for (int i = 0; i < 2; ++i) OnSigprof(SIGPROF, &info, &context_);
  EXPECT_EQ(g_passed_on, 2);
}

TEST_F(OnSigprofTest, OwnSignalsStayHere) {
  struct sigaction previous = {};
  previous.sa_handler = CountAndClobberErrno;
  g_previous = &previous;
  OwnSignal();
  EXPECT_EQ(g_passed_on, 0);
}

TEST_F(OnSigprofTest, WhenItInterruptsItselfTheSampleIsLostAndCounted) {
  const std::uint64_t lost = Count(g_shared.counters.lost_reentrant);
  record().busy = 1;
  OwnSignal(1);
  EXPECT_EQ(record().busy, 1u);  // still the outer one's
  EXPECT_EQ(Count(g_shared.counters.lost_reentrant) - lost, 2u);
  EXPECT_EQ(Stored(), nullptr);
}

TEST_F(OnSigprofTest, AFullRingLosesNewSamplesWithTheirWeightAndTheTimeOfTheFirst) {
  const std::uint64_t lost = Count(g_shared.counters.lost_ring_full);
  while (Count(g_shared.counters.lost_ring_full) == lost) OwnSignal(1);
  OwnSignal(2);
  EXPECT_EQ(Count(g_shared.counters.lost_ring_full) - lost, 5u);
  std::uint64_t since_ns = 0;
  EXPECT_EQ(record().ring.load()->TakeLoss(&since_ns), 5u);
  EXPECT_GT(since_ns, 0u);
  EXPECT_GT(Stored()->words, 0u);  // what was there stays
  EXPECT_EQ(g_shared.wake, 1u);    // the collector is called
}

TEST_F(OnSigprofTest, OneSampleCallsTheCollectorOnlyWhileItIsIdle) {
  OwnSignal();
  EXPECT_EQ(g_shared.wake, 0u);  // though it takes the thread's ring
  g_shared.idle = true;
  OwnSignal();
  EXPECT_EQ(g_shared.wake, 1u);
}

TEST_F(OnSigprofTest, WithoutAFreeRingTheWeightIsKeptForTheCollector) {
  const std::uint64_t lost = Count(g_shared.counters.lost_no_ring);
  ASSERT_NE(g_shared.rings.Take(), nullptr);  // the only one
  OwnSignal(1);
  OwnSignal();
  EXPECT_EQ(Count(g_shared.counters.lost_no_ring) - lost, 3u);
  EXPECT_EQ(g_shared.pending_lost, 3u);
  EXPECT_GT(g_shared.pending_lost_since_ns, 0u);
}

TEST_F(OnSigprofTest, CopiesTheLabelsOfTheMoment) {
  const std::array<std::uint64_t, 2> words = {0x1111, 0x2222};
  const LabelBlob blob = {12, 1, words.data()};
  TraceContext trace = {};
  trace.labels = kSpanIdLabel;
  std::memset(trace.label_span_id, 0x5a, sizeof trace.label_span_id);
  std::memset(trace.trace_id, 0x77, sizeof trace.trace_id);  // not a label: not copied
  record().labels = &blob;
  record().trace_context = &trace;
  OwnSignal();
  const SampleHeader* sample = Stored();
  ASSERT_NE(sample, nullptr);
  EXPECT_EQ(sample->labels, kSpanIdLabel);
  EXPECT_EQ(sample->span_id, 0x5a5a5a5a5a5a5a5au);
  EXPECT_EQ(sample->trace_id[0], 0u);
  EXPECT_EQ(sample->label_bytes, 12u);
  const auto* body = reinterpret_cast<const std::uint64_t*>(sample + 1);
  EXPECT_EQ(body[0], words[0]);
  EXPECT_EQ(body[1], words[1]);
}

}  // namespace
}  // namespace pprof::handler
