// A user's program that links the push client: pushes to a port where nobody listens, writes the
// same work into the file named on the command line, and gives up in time. Also compiled without
// exceptions and RTTI.
#include <chrono>
#include <cstdio>
#include <ctime>

#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pyroscope/pyroscope.h>
#include <pyroscope/stats.h>

static double CpuSeconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  pyroscope::Config config;
  config.application_name = "consumer";
  config.server_address = "http://127.0.0.1:1";
  auto profiler = pyroscope::Start(config);
  auto file = pprof::StartCpuProfile(argv[1]);
  if (!profiler.ok() || !file.ok()) {
    std::fprintf(stderr, "start: %s%s\n", profiler.status().message.c_str(),
                 file.status().message.c_str());
    return 1;
  }
  volatile double sum = 0;
  pprof::Do(pprof::Labels({{"vehicle", "bike"}}), [&sum] {
    for (const double end = CpuSeconds() + 0.5; CpuSeconds() < end;) sum = sum + 1;
  });
  if (!file->Stop().ok()) return 1;
  const pprof::Status stopped = profiler->Stop(std::chrono::seconds(2));
  const pyroscope::Stats stats = pyroscope::ReadStats();
  std::printf("%s; %llu samples taken\n", stopped.message.c_str(),
              static_cast<unsigned long long>(stats.samples_taken));
  return stopped.code == pprof::Status::Code::kTimeout && stats.samples_taken >= 10 &&
                 stats.samples_lost == stats.samples_taken
             ? 0
             : 1;
}
