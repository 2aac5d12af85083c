// What the profiler itself costs: one run of the signal handler on cold caches, the
// CPU time of profiling a busy core, memory. Prints "name value unit budget reference" lines; times
// are medians of many samples.

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

#include "bench/cycles_x86_64.h"
#include "src/pprof/handler/handler.h"
#include "src/pprof/handler/thread_record.h"
#include "src/pprof/labels/thread.h"
#include "src/pprof/labels/thread_registry.h"
#include "tests/support/busy.h"

namespace {

using pprof::Labels;
using pprof::LabelScope;
using pprof::LabelSet;

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(static_cast<double>(values.size()) * q)];
}
double Median(const std::vector<double>& values) { return Quantile(values, 0.5); }

void Print(const char* name, double value, const char* unit, const char* budget,
           const char* reference) {
  std::printf("%s %.4g %s %s %s\n", name, value, unit, budget, reference);
  std::fflush(stdout);
}

bool Discard(std::string_view) { return true; }

// --- The handler, called as the kernel would: inside a signal handler, 100 times a second of CPU
// time, on a stack of 21 frames of which each is another function with rows of its own. Between two
// samples a thread works on 5 MB or more, so that neither the handler's code nor its data are in
// the first two caches. The clock is the processor's: clock_gettime would warm up what the handler
// reads.

std::vector<double> g_handler_us;
std::vector<double> g_delivery_us;  // with the system call that sends the signal
std::vector<double> g_call_us;      // that call alone
std::uint64_t g_cookie = 0;
std::uint64_t g_entered = 0;
std::uint64_t g_left = 0;

void CallHandler(int, siginfo_t*, void* context) {
  g_entered = bench::Cycles();
  siginfo_t info = {};
  info.si_code = SI_TIMER;
  info.si_value.sival_ptr = reinterpret_cast<void*>(g_cookie);
  const std::uint64_t start = bench::Cycles();
  pprof::handler::OnSigprof(SIGPROF, &info, context);
  g_left = bench::Cycles();
  g_handler_us.push_back(bench::CyclesToUs(g_left - start));
}

struct Work {
  std::map<std::string, int> words;
  std::vector<char> sweep;  // empty: ordinary work; else every cache is swept between two samples
};

[[gnu::noinline]] unsigned Sample(Work& work, unsigned x, bool signal) {
  const std::int64_t end = test::ThreadCpuNs() + 10000000;
  for (unsigned i = x; test::ThreadCpuNs() < end; i += 7919) {
    ++work.words["word" + std::to_string(i % 50000)];
  }
  for (std::size_t i = 0; i < work.sweep.size(); i += 64) work.sweep[i]++;
  const pid_t pid = getpid();
  const auto tid = static_cast<pid_t>(syscall(SYS_gettid));
  const std::uint64_t before = bench::Cycles();
  syscall(SYS_tgkill, pid, tid, signal ? SIGUSR1 : 0);
  const std::uint64_t after = bench::Cycles();
  if (signal) {
    g_delivery_us.push_back(bench::CyclesToUs(g_entered - before + after - g_left));
  } else {
    g_call_us.push_back(bench::CyclesToUs(after - before));
  }
  return x;
}

template <int Depth>
[[gnu::noinline]] unsigned Deep(Work& work, unsigned x, bool signal) {
  volatile long pad[5] = {Depth, 1, 2};
  unsigned result = 0;
  if constexpr (Depth > 0) {
    result = Deep<Depth - 1>(work, x, signal);
  } else {
    result = Sample(work, x, signal);
  }
  bench::PadFunction();  // 2 KiB of code with 20 rows a KiB, as in an ordinary program
  return result + static_cast<unsigned>(pad[1]);
}

// A signal that a thread sends to itself in a loop: the figure that the budget of a busy core
// counts with.
double DeliveryUs() {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR2, &action, nullptr);
  const pid_t pid = getpid();
  const auto tid = static_cast<pid_t>(syscall(SYS_gettid));
  std::vector<double> us;
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t before = bench::Cycles();
    syscall(SYS_tgkill, pid, tid, SIGUSR2);
    us.push_back(bench::CyclesToUs(bench::Cycles() - before));
  }
  return Median(us);
}

// What one sample costs, in us.
struct SampleCost {
  double handler;
  double delivery;       // in a loop
  double cold_delivery;  // at 100 Hz between pieces of work
};

SampleCost BenchHandler() {
  struct sigaction action = {};
  action.sa_sigaction = CallHandler;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGUSR1, &action, nullptr);
  auto profile = pprof::StartCpuProfile(Discard, {1});  // 1 Hz: real signals are rare
  LabelScope scope(Labels({{"vehicle", "bike"}}));
  g_cookie = pprof::labels::CurrentThread()->record->cookie.load();
  // A sample each `periods` of 10 ms.
  const auto measure = [](unsigned samples, std::size_t sweep_bytes, unsigned periods) {
    Work work;
    work.sweep.resize(sweep_bytes);
    g_handler_us.clear();
    g_delivery_us.clear();
    g_call_us.clear();
    for (unsigned i = 0; i < samples; ++i) {
      for (unsigned k = 1; k < periods; ++k) Deep<14>(work, i * 7907, false);
      Deep<14>(work, i * 104729, true);
    }
    // Without a signal: what the call itself takes is no part of the delivery.
    for (unsigned i = 0; i < 100; ++i) Deep<14>(work, i * 104729, false);
  };
  measure(30, 64 << 20, 1);
  Print("handler_100hz_swept_caches", Median(g_handler_us), "us", "-", "-");
  measure(150, 0, 2);
  Print("handler_50hz", Median(g_handler_us), "us", "-", "-");
  measure(400, 0, 1);
  SampleCost cost{Median(g_handler_us), DeliveryUs(), Median(g_delivery_us) - Median(g_call_us)};
  Print("handler_100hz", cost.handler, "us", "3", "-");
  Print("handler_100hz_p95", Quantile(g_handler_us, 0.95), "us", "-", "-");
  Print("handler_100hz_p99", Quantile(g_handler_us, 0.99), "us", "5", "-");
  Print("signal_delivery", cost.delivery, "us", "-", "kernel");
  Print("signal_delivery_100hz_cold", cost.cold_delivery, "us", "-", "kernel");
  profile->Stop();
  return cost;
}

// --- A busy core: one thread that works on memory, and the collector's own CPU clock.

void BenchBusyCore(const SampleCost& sample) {
  auto profile = pprof::StartCpuProfile(Discard);
  Work work;
  constexpr int kSeconds = 5;
  const std::uint64_t before = pprof::ReadStats().library_cpu_ns;
  const std::int64_t end = test::ThreadCpuNs() + std::int64_t{kSeconds} * 1000000000;
  for (unsigned i = 0; test::ThreadCpuNs() < end; i += 7919) {
    ++work.words["word" + std::to_string(i % 50000)];
  }
  const double collector_us =
      static_cast<double>(pprof::ReadStats().library_cpu_ns - before) / kSeconds / 1000;
  profile->Stop();
  Print("collector_cpu_per_second", collector_us, "us", "-", "-");
  const auto percent = [&](double sample_us) { return (100 * sample_us + collector_us) / 1e4; };
  Print("cpu_of_busy_core_100hz", percent(sample.handler + sample.delivery), "%", "0.1", "-");
  Print("cpu_of_busy_core_100hz_cold", percent(sample.handler + sample.cold_delivery), "%", "-",
        "cold-delivery");
}

// --- Memory.

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
    Print("memory_of_an_active_thread",
          static_cast<double>(pprof::handler::Ring::kBytes + sizeof(pprof::handler::ThreadRecord) +
                              sizeof(pprof::labels::ThreadState)) /
              1024,
          "KiB", "20", "-");
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
