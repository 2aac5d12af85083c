// A program with a static copy of the profiler loads a plugin with another one. Only one samples at
// a time; the other says why it does not, and neither takes the other's signals for its own.
#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <optional>
#include <string>
#include <thread>

#include "plugin.h"
#include "samples.h"
#include "work.h"

static std::atomic<int> others{0};  // signals that are nobody's

static std::optional<pprof::CpuProfile> profile;

static std::string Start() {
  auto started = pprof::StartCpuProfile([](std::string_view) { return true; });
  if (started.ok()) profile.emplace(std::move(*started));
  return started.status().message;
}

static bool Stop() {
  const bool good = profile->Stop().ok();
  profile.reset();
  return good;
}

static bool Has(const std::string& text, const char* part) {
  if (text.find(part) != std::string::npos) return true;
  std::fprintf(stderr, "'%s' is not in: %s\n", part, text.c_str());
  return false;
}

// While the program's copy samples, the plugin's is refused, and all CPU time is counted once.
static void ProgramSamples(const Plugin& plugin) {
  EXPECT(Start().empty());
  const unsigned long long before = Samples(pprof::ReadStats());
  const double cpu = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID);
  for (int i = 0; i < 2; ++i) EXPECT(Has(plugin.start(), "another copy"));
  EXPECT(Has(plugin.start(), "the program itself"));
  plugin.work(0.4);
  pprof::Do(pprof::Labels({{"where", "program"}}), [] { Work(0.4); });
  const double used = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  EXPECT(Stop());
  const auto samples = static_cast<double>(Samples(pprof::ReadStats()) - before);
  std::printf("%.3f s of CPU time, %.0f samples\n", used, samples);
  EXPECT(std::fabs(samples * 0.01 - used) < 0.05);
  EXPECT(pprof::ReadStats().foreign_signals == static_cast<unsigned long long>(others));
  EXPECT(plugin.log_lines() == 1);
}

// And the other way round, on a thread that was there before the plugin.
static void PluginSamples(const Plugin& plugin) {
  const unsigned long long before = plugin.samples();
  const unsigned long long labelled_before = plugin.labelled();
  EXPECT(plugin.start()[0] == '\0');
  EXPECT(Has(Start(), "another copy"));
  EXPECT(Has(Start(), "libplugin.so"));
  plugin.work(0.4);
  EXPECT(plugin.stop());
  const unsigned long long samples = plugin.samples() - before;
  const unsigned long long labelled = plugin.labelled() - labelled_before;
  std::printf("%llu samples of the plugin, %llu with its label\n", samples, labelled);
  EXPECT(samples >= 35);
  EXPECT(labelled > 0);
}

// Both in turns: the handlers lie on top of each other, what is nobody's reaches the one below
// both.
static void InTurns(const Plugin& plugin) {
  for (int i = 0; i < 6; ++i) {
    if (i % 2 == 0) {
      EXPECT(Start().empty() && Stop());
    } else {
      EXPECT(plugin.start()[0] == '\0' && plugin.stop());
    }
    const int before = others;
    EXPECT(raise(SIGPROF) == 0 && others == before + 1);
  }
}

// Lets two threads go on at the same instant.
static void Meet(std::atomic<int>* arrived, int round) {
  ++*arrived;
  while (*arrived < 2 * round) {
    sched_yield();
  }
}

// Both at once, again and again: each time one of them gets it, never both.
static void AtOnce(const Plugin& plugin) {
  std::atomic<int> arrived{0};
  std::atomic<int> started{0};
  int turns[2] = {0, 0};
  const auto race = [&](int who, auto start, auto stop) {
    for (int i = 1; i <= 150; ++i) {
      Meet(&arrived, 3 * i - 2);
      const bool got_it = start();
      if (got_it) ++started;
      Meet(&arrived, 3 * i - 1);
      EXPECT(started == i);
      turns[who] += got_it ? 1 : 0;
      if (got_it) EXPECT(stop());
      Meet(&arrived, 3 * i);
    }
  };
  std::thread other([&] {
    race(
        1, [&] { return plugin.start()[0] == '\0'; }, plugin.stop);
  });
  race(
      0, [] { return Start().empty(); }, Stop);
  other.join();
  std::printf("at once: the program %d times, the plugin %d times\n", turns[0], turns[1]);
}

// A child has no profile, so either copy may start one there.
static void InAChild(const Plugin& plugin) {
  EXPECT(Start().empty());
  const pid_t child = fork();
  if (child == 0) _exit(plugin.start()[0] == '\0' && plugin.stop() ? 0 : 1);
  int status = 0;
  EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT(Stop());
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  signal(SIGPROF, [](int) { ++others; });
  const Plugin plugin = Load(argv[1]);
  ProgramSamples(plugin);
  PluginSamples(plugin);
  InTurns(plugin);
  AtOnce(plugin);
  InAChild(plugin);
  EXPECT(dlclose(plugin.handle) == 0);
  EXPECT(raise(SIGPROF) == 0);
  return 0;
}
