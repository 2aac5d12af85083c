// A user's program that links the profiler alone: profiles labelled work into the file named on the
// command line, half a second or, on a busy machine, as long as it takes to have ten samples. Also
// compiled without exceptions and RTTI.
#include <cstdio>
#include <ctime>

#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pprof/stats.h>

static double CpuSeconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

static double Work(double seconds) {
  double sum = 0;
  for (const double end = CpuSeconds() + seconds; CpuSeconds() < end;) {
    for (int i = 1; i < 100000; ++i) sum += 1.0 / i;
  }
  return sum;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto profile = pprof::StartCpuProfile(argv[1]);
  if (!profile.ok()) {
    std::fprintf(stderr, "start: %s\n", profile.status().message.c_str());
    return 1;
  }
  double sum = 0;
  for (int i = 0; i < 20 && pprof::ReadStats().samples_labelled < 10; ++i) {
    sum += pprof::Do(pprof::Labels({{"vehicle", "bike"}}), [] { return Work(0.5); });
  }
  const pprof::Status stopped = profile->Stop();
  if (!stopped.ok()) {
    std::fprintf(stderr, "stop: %s\n", stopped.message.c_str());
    return 1;
  }
  const pprof::Stats stats = pprof::ReadStats();
  std::printf("%llu samples, %llu labelled (sum %g)\n",
              static_cast<unsigned long long>(stats.samples),
              static_cast<unsigned long long>(stats.samples_labelled), sum);
  return stats.samples_labelled >= 10 ? 0 : 1;
}
