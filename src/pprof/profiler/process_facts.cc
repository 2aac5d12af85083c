#include "src/pprof/profiler/process_facts.h"

#include <time.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

namespace pprof::profiler {

std::string ProgramPath() {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
  return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : std::string();
}

std::string ServiceName() {
  const char* const name = std::getenv("OTEL_SERVICE_NAME");
  if (name != nullptr && *name != '\0') return name;
  const std::string path = ProgramPath();
  return path.substr(path.rfind('/') + 1);
}

std::int64_t ProcessAgeNs() {
  std::ifstream in("/proc/self/stat");
  const std::string line{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const std::size_t name_end = line.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return -1;
  std::istringstream fields(line.substr(name_end + 1));
  constexpr int kStartTime = 20;  // starttime is field 22; the name was the second
  std::string field;
  for (int i = 0; i < kStartTime; ++i) fields >> field;
  const long ticks = sysconf(_SC_CLK_TCK);
  timespec now{};
  if (!fields || ticks <= 0 || clock_gettime(CLOCK_BOOTTIME, &now) != 0) return -1;
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t started = std::strtoll(field.c_str(), nullptr, 10) * (kSecond / ticks);
  return std::int64_t{now.tv_sec} * kSecond + now.tv_nsec - started;
}

}  // namespace pprof::profiler
