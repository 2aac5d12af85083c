// The work that the profilers are measured on, and what the CPU clocks say of it. work.go is the
// same in Go.
//
//   work CASE RATE PROFILE      prints "name value" lines; PROFILE "-": no profile
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "bench/peers/profiler.h"
#include "tests/support/busy.h"

namespace {

// Three functions that use CPU time as 1 : 3 : 9. Not inlined, and nothing is done by their
// callers.
#define PART(name, pieces)                           \
  [[gnu::noinline]] void name() {                    \
    for (int i = 0; i < (pieces); ++i) test::Spin(); \
    asm volatile("");                                \
  }
PART(PartOne, 10)
PART(PartThree, 30)
PART(PartNine, 90)

double Seconds(std::int64_t ns) { return static_cast<double>(ns) / 1e9; }

// --- Shares: the three in turn.

void Shares() {
  const std::int64_t end = test::ThreadCpuNs() + 8000000000;
  std::int64_t used[3] = {};
  void (*const parts[3])() = {PartOne, PartThree, PartNine};
  while (test::ThreadCpuNs() < end) {
    for (int i = 0; i < 3; ++i) {
      const std::int64_t before = test::ThreadCpuNs();
      parts[i]();
      used[i] += test::ThreadCpuNs() - before;
    }
  }
  const char* const names[3] = {"PartOne", "PartThree", "PartNine"};
  for (int i = 0; i < 3; ++i) std::printf("part/%s %.6f\n", names[i], Seconds(used[i]));
}

// --- Totals: two threads that never wait.

void Totals() {
  const auto busy = [] {
    peers::ThreadStarts();
    test::BurnMs(2000);
  };
  std::thread other(busy);
  std::thread one(busy);
  other.join();
  one.join();
}

// --- Bursts: 1 ms of work, 2 ms of sleep.

void Bursts() {
  const auto bursty = [] {
    peers::ThreadStarts();
    for (int i = 0; i < 1000; ++i) {
      test::BurnMs(1);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  };
  std::thread other(bursty);
  std::thread one(bursty);
  other.join();
  one.join();
}

// --- Short threads: 1,000 that live for 2 ms of work each, two at a time; the profiler is told of
// them, or it is not.

void ShortThreads(bool known) {
  const auto task = [known] {
    if (known) peers::ThreadStarts();
    test::BurnMs(2);
  };
  for (int i = 0; i < 500; ++i) {
    std::thread other(task);
    std::thread one(task);
    other.join();
    one.join();
  }
}

void UnknownThreads() { ShortThreads(false); }
void KnownThreads() { ShortThreads(true); }

// --- Deep: 20 frames of ours over qsort of the C library, which calls back into ours.

int Compare(const void* a, const void* b) {
  test::Spin();
  return *static_cast<const int*>(a) - *static_cast<const int*>(b);
}

template <int Depth>
[[gnu::noinline]] int Deep(int x) {
  volatile int pad[Depth + 1] = {x};
  if constexpr (Depth > 0) {
    return Deep<Depth - 1>(x + 1) + pad[0];
  } else {
    int values[64];
    for (int i = 0; i < 64; ++i) values[i] = (x + i * 37) % 64;
    std::qsort(values, 64, sizeof(int), Compare);
    return values[0] + pad[0];
  }
}

void DeepStacks() {
  const std::int64_t end = test::ThreadCpuNs() + 4000000000;
  int x = 0;
  while (test::ThreadCpuNs() < end) x += Deep<20>(x & 7);
  std::printf("sink %d\n", x & 1);
}

// --- The gaps that a thread sees in its own time: at 250 Hz each tick of the kernel brings a
// sample, so the median gap grows by what a sample takes (signal, handler, return; warm caches).

template <int Depth>
[[gnu::noinline]] int Gaps(std::vector<double>& us) {
  volatile int pad[Depth + 1] = {Depth};
  if constexpr (Depth > 0) return Gaps<Depth - 1>(us) + pad[0];
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  for (auto last = std::chrono::steady_clock::now(); last < end;) {
    const auto now = std::chrono::steady_clock::now();
    const double gap = std::chrono::duration<double, std::micro>(now - last).count();
    if (gap > 0.7) us.push_back(gap);
    last = now;
  }
  return pad[0];
}

void SampleCost() {
  std::vector<double> us;
  us.reserve(1 << 20);
  Gaps<20>(us);
  std::sort(us.begin(), us.end());
  // The 750 ticks of three seconds are the longest gaps, but for some of the host's; the median of
  // the longest 750.
  const std::size_t ticks = std::min<std::size_t>(us.size(), 750);
  std::printf("gaps %zu\ngap_us %.3f\n", us.size(), us[us.size() - 1 - ticks / 2]);
}

struct Case {
  const char* name;
  void (*run)();
};
const Case kCases[] = {{"shares", Shares},
                       {"totals", Totals},
                       {"bursts", Bursts},
                       {"short_threads", UnknownThreads},
                       {"short_threads_known", KnownThreads},
                       {"deep", DeepStacks},
                       {"sample_cost", SampleCost}};

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "label_switch") == 0) {
    std::printf("label_switch_ns %.3f\n", peers::LabelSwitchNs());
    return 0;
  }
  for (const Case& each : kCases) {
    if (argc != 4 || std::strcmp(argv[1], each.name) != 0) continue;
    const bool profiled = std::strcmp(argv[3], "-") != 0;
    if (profiled) peers::StartProfile(argv[3], std::atoi(argv[2]));
    const std::int64_t before = test::ProcessCpuNs();
    each.run();
    const std::int64_t used = test::ProcessCpuNs() - before;
    if (profiled) peers::StopProfile();
    std::printf("cpu %.6f\n", Seconds(used));
    return 0;
  }
  std::fprintf(stderr, "usage: work CASE RATE PROFILE\n");
  return 2;
}
