// What the profiler itself costs: one run of the signal handler on cold caches, the
// CPU time of profiling a busy core, memory. Prints "name value unit budget reference" lines; times
// are medians of many short segments.

#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "src/pprof/handler/handler.h"
#include "src/pprof/handler/thread_record.h"
#include "src/pprof/labels/thread.h"
#include "src/pprof/labels/thread_registry.h"
#include "tests/support/busy.h"

namespace {

using pprof::Labels;
using pprof::LabelScope;
using pprof::LabelSet;

double NowNs() { return static_cast<double>(test::ReadClockNs(CLOCK_MONOTONIC)); }

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Print(const char* name, double value, const char* unit, const char* budget,
           const char* reference) {
  std::printf("%s %.4g %s %s %s\n", name, value, unit, budget, reference);
  std::fflush(stdout);
}

bool Discard(std::string_view) { return true; }

// ns of one call of f beyond an empty loop, measured in turns.
template <class F>
double CostOf(F&& f) {
  constexpr int kRounds = 60;
  constexpr int kCalls = 20000;
  std::vector<double> differences;
  for (int round = 0; round < kRounds; ++round) {
    const double start = NowNs();
    for (int i = 0; i < kCalls; ++i) asm volatile("" ::: "memory");
    const double middle = NowNs();
    for (int i = 0; i < kCalls; ++i) {
      f();
      asm volatile("" ::: "memory");
    }
    differences.push_back((NowNs() - middle - (middle - start)) / kCalls);
  }
  return Median(differences);
}

// --- The handler: called as the kernel would, inside a signal handler, 21 frames deep, between
// pieces of work that sweep the caches, 100 times a second of CPU time.
// ----------------------------------------------------------------

std::vector<double> g_handler_ns;
std::uint64_t g_cookie = 0;

void CallHandler(int, siginfo_t*, void* context) {
  siginfo_t info = {};
  info.si_code = SI_TIMER;
  info.si_value.sival_ptr = reinterpret_cast<void*>(g_cookie);
  const double start = NowNs();
  pprof::handler::OnSigprof(SIGPROF, &info, context);
  g_handler_ns.push_back(NowNs() - start);
}

struct Work {
  std::map<std::string, int> words;
  std::vector<char> sweep;  // empty: ordinary work; else every cache is swept between two samples
};

[[gnu::noinline]] unsigned Deep(int depth, Work& work, unsigned x) {
  volatile long pad[3] = {depth, 1, 2};
  if (depth > 0) {
    const unsigned result = Deep(depth - 1, work, x * 31 + static_cast<unsigned>(depth));
    asm volatile("");  // not a tail call
    return result + static_cast<unsigned>(pad[1]);
  }
  const std::int64_t end = test::ThreadCpuNs() + 10000000;
  for (unsigned i = x; test::ThreadCpuNs() < end; i += 7919) {
    ++work.words["word" + std::to_string(i % 50000)];
    if (!work.sweep.empty()) work.sweep[i * 64u % work.sweep.size()]++;
  }
  raise(SIGUSR1);
  return x;
}

// Returns the median in us.
double BenchHandler() {
  struct sigaction action = {};
  action.sa_sigaction = CallHandler;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGUSR1, &action, nullptr);
  auto profile = pprof::StartCpuProfile(Discard, {1});  // 1 Hz: real signals are rare
  LabelScope scope(Labels({{"vehicle", "bike"}}));
  g_cookie = pprof::labels::CurrentThread()->record->cookie.load();
  const auto measure = [](std::size_t sweep_bytes) {
    Work work;
    work.sweep.resize(sweep_bytes);
    g_handler_ns.clear();
    for (unsigned i = 0; i < 300; ++i)
      Deep(14, work, i * 104729);  // with raise and main some 21 frames
    return Median(g_handler_ns) / 1000;
  };
  const double ordinary_us = measure(0);
  Print("handler_100hz", ordinary_us, "us", "3", "-");
  std::sort(g_handler_ns.begin(), g_handler_ns.end());
  Print("handler_100hz_p99", g_handler_ns[g_handler_ns.size() * 99 / 100] / 1000, "us", "5", "-");
  Print("handler_100hz_swept_caches", measure(64 << 20), "us", "-", "-");
  profile->Stop();
  return ordinary_us;
}

// --- A busy core.
// -------------------------------------------------------------------------------------------------

double DeliveryUs() {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR2, &action, nullptr);
  const pid_t pid = getpid();
  const auto tid = static_cast<pid_t>(syscall(SYS_gettid));
  return CostOf([&] { syscall(SYS_tgkill, pid, tid, SIGUSR2); }) / 1000;
}

void BenchBusyCore(double handler_us) {
  const double delivery_us = DeliveryUs();
  const std::uint64_t before = pprof::ReadStats().library_cpu_ns;
  auto profile = pprof::StartCpuProfile(Discard);
  constexpr int kSeconds = 4;
  test::BurnMs(1000 * kSeconds);
  const double collector_ns =
      static_cast<double>(pprof::ReadStats().library_cpu_ns - before) / kSeconds;
  profile->Stop();
  Print("signal_delivery", delivery_us, "us", "-", "kernel");
  Print("collector_cpu_per_second", collector_ns / 1000, "us", "-", "-");
  const double percent = (100 * (handler_us + delivery_us) * 1000 + collector_ns) / 1e9 * 100;
  Print("cpu_of_busy_core_100hz", percent, "%", "0.1", "-");
}

// --- Memory.
// ------------------------------------------------------------------------------------------------------

double ResidentMb() {
  std::ifstream in("/proc/self/statm");
  double size = 0;
  double resident = 0;
  in >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

void BenchMemory() {
  const double before = ResidentMb();
  auto profile = pprof::StartCpuProfile(Discard);
  test::BurnMs(300);
  const double one = ResidentMb();
  constexpr int kThreads = 64;
  {
    std::vector<std::thread> threads;
    std::atomic<bool> stop{false};
    const double idle = ResidentMb();
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        LabelScope scope(Labels({{"k", "v"}}));
        while (!stop) test::Spin();
      });
    }
    std::this_thread::sleep_for(std::chrono::seconds(3));
    const pprof::Stats stats = pprof::ReadStats();
    Print("memory_of_an_active_thread",
          (static_cast<double>(stats.ring_bytes) / (kThreads + 1) + 128) / 1024, "KiB", "20", "-");
    Print("memory_64_threads", ResidentMb() - idle, "MB", "-", "with-stacks");
    stop = true;
    for (std::thread& thread : threads) thread.join();
  }
  Print("memory_of_a_profile", one - before, "MB", "32", "-");
  profile->Stop();
}

}  // namespace

int main() {
  BenchMemory();  // first: the resident set has no history yet
  BenchBusyCore(BenchHandler());
}
