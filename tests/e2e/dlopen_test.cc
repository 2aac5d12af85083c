// Modules that come and go while threads are sampled: nothing crashes, and samples keep the names
// of what was loaded.

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/busy.h"
#include "tests/support/pprof_reader.h"

namespace pprof {
namespace {

using Work = std::uint64_t (*)(std::uint64_t);

pprof_reader::Profile StopAndRead(CpuProfile& profile, const std::string& bytes) {
  EXPECT_TRUE(profile.Stop().ok());
  std::string error;
  auto read = pprof_reader::Read(bytes, &error);
  EXPECT_TRUE(read.has_value()) << error;
  return read.has_value() ? std::move(*read) : pprof_reader::Profile();
}

std::int64_t SamplesOf(const pprof_reader::Profile& profile, std::string_view function,
                       bool complete) {
  std::int64_t count = 0;
  for (const pprof_reader::Sample& sample : profile.samples) {
    if (sample.HasFunction(function) && (!complete || sample.frames.size() > 3))
      count += sample.count;
  }
  return count;
}

auto Into(std::string& bytes) {
  return [&bytes](std::string_view piece) {
    bytes += piece;
    return true;
  };
}

TEST(Dlopen, ModuleThatIsLoadedWhileRunningAndGoneAtTheEndHasNamesAndWholeStacks) {
  std::string bytes;
  auto profile = StartCpuProfile(Into(bytes));
  ASSERT_TRUE(profile.ok());
  void* plugin = dlopen(PLUGIN_PATH, RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(plugin, nullptr) << dlerror();
  const auto work = reinterpret_cast<Work>(dlsym(plugin, "PluginWork"));
  const std::int64_t end = test::ThreadCpuNs() + 1000000000;
  while (test::ThreadCpuNs() < end) test::g_busy_sink = work(1000000);
  dlclose(plugin);
  test::BurnMs(300);  // the unloading is noticed
  const pprof_reader::Profile read = StopAndRead(*profile, bytes);
  EXPECT_GT(SamplesOf(read, "PluginWork", false), 80);
  EXPECT_GT(SamplesOf(read, "PluginWork", true), 75);  // but for the tick in which it was new
}

TEST(Dlopen, StormOfLoadsAndUnloadsUnderOneKilohertz) {
  const std::string copy = testing::TempDir() + "/dlopen_copy_" + std::to_string(getpid());
  std::string bytes;
  const Stats before = ReadStats();
  auto profile = StartCpuProfile(Into(bytes), {1000});
  ASSERT_TRUE(profile.ok());
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::string path = copy + "_" + std::to_string(t) + ".so";
      for (int i = 0; i < 200; ++i) {
        std::filesystem::copy_file(PLUGIN_PATH, path,
                                   std::filesystem::copy_options::overwrite_existing);
        void* plugin = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        std::filesystem::remove(path);  // the file is gone while the code runs
        if (plugin == nullptr) {
          ++failures;
          continue;
        }
        test::g_busy_sink = reinterpret_cast<Work>(dlsym(plugin, "PluginWork"))(200000);
        dlclose(plugin);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures.load(), 0);
  StopAndRead(*profile, bytes);
  const Stats after = ReadStats();
  EXPECT_GT(after.deliveries, before.deliveries + 20);
  EXPECT_EQ(after.samples_lost, before.samples_lost);
  // Retired tables are freed: what is left is that of the modules that stayed.
  EXPECT_LT(after.unwind_table_bytes, 64u << 20);
}

}  // namespace
}  // namespace pprof
