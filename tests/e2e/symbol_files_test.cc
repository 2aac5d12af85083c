// What happens to the files of code that runs: stripped, split, deleted, replaced. Names come from
// what was loaded or not at all, and a profile promises no more than it has.

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pprof/profile.h>
#include <pprof/stats.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "tests/support/busy.h"
#include "tests/support/pprof_reader.h"

namespace pprof {
namespace {

namespace fs = std::filesystem;
using Work = std::uint64_t (*)(std::uint64_t);

struct Seen {
  std::string function, file;
  std::int64_t line = 0;
  pprof_reader::Mapping promises;  // of the module
};

void RunCommand(const std::string& command) {
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

// The same code with a build id that no file before has: answers for a known one are remembered.
void CopyWithNewBuildId(const std::string& from, const std::string& to) {
  static char number = 0;
  std::ifstream in(from, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const std::string note("\x03\0\0\0GNU", 8);  // NT_GNU_BUILD_ID and its owner; then the id
  const std::size_t at = bytes.find(note);
  ASSERT_NE(at, std::string::npos);
  bytes[at + note.size()] = ++number;
  std::ofstream(to, std::ios::binary) << bytes;
}

class SymbolFiles : public testing::Test {
 protected:
  SymbolFiles() {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    CopyWithNewBuildId(PLUGIN_PATH, path());
  }
  ~SymbolFiles() override { fs::remove_all(folder_); }

  std::string path() const { return folder_ + "/plugin.so"; }

  // Loads path(), runs that function of it, and calls `meanwhile` before the profile ends. What the
  // profile says of the leaf frames in it.
  template <typename Meanwhile>
  void Sample(const char* function, Meanwhile meanwhile, Seen* seen) {
    void* plugin = dlopen(path().c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(plugin, nullptr) << dlerror();
    std::string bytes;
    auto profile = StartCpuProfile([&bytes](std::string_view piece) {
      bytes += piece;
      return true;
    });
    ASSERT_TRUE(profile.ok()) << profile.status().message;
    const auto work = reinterpret_cast<Work>(dlsym(plugin, function));
    const std::int64_t end = test::ThreadCpuNs() + 300000000;
    while (test::ThreadCpuNs() < end) test::g_busy_sink = work(1000000);
    meanwhile();
    ASSERT_TRUE(profile->Stop().ok());
    dlclose(plugin);
    std::string error;
    const auto read = pprof_reader::Read(bytes, &error);
    ASSERT_TRUE(read.has_value()) << error;
    Look(*read, seen);
  }

  void Look(const pprof_reader::Profile& profile, Seen* seen) const {
    std::int64_t samples = 0;
    for (const pprof_reader::Sample& sample : profile.samples) {
      if (sample.frames.empty() || sample.frames[0].module != path()) continue;
      samples += sample.count;
      seen->function = sample.frames[0].function;
      seen->file = sample.frames[0].file;
      seen->line = sample.frames[0].line;
    }
    EXPECT_GT(samples, 10);
    for (const pprof_reader::Mapping& mapping : profile.mappings) {
      if (mapping.file == path()) seen->promises = mapping;
    }
    seen->promises.file = {};
  }

  std::string folder_ = testing::TempDir() + "/symbol_files_" + std::to_string(getpid());
};

TEST_F(SymbolFiles, WholeOnesGiveNamesAndLines) {
  Seen seen;
  ASSERT_NO_FATAL_FAILURE(Sample(
      "PluginCallsHidden", [] {}, &seen));
  EXPECT_EQ(seen.function.find("HiddenWork("), 0u) << seen.function;
  EXPECT_NE(seen.file.find("dlopen_plugin.cc"), std::string::npos) << seen.file;
  EXPECT_GT(seen.line, 0);
  EXPECT_TRUE(seen.promises.has_functions);
  EXPECT_TRUE(seen.promises.has_line_numbers);
  EXPECT_FALSE(seen.promises.has_inline_frames);
}

TEST_F(SymbolFiles, StrippedOnesGiveTheNamesThatTheyExport) {
  RunCommand("strip " + path());
  Seen seen;
  ASSERT_NO_FATAL_FAILURE(Sample(
      "PluginWork", [] {}, &seen));
  EXPECT_EQ(seen.function, "PluginWork");
  EXPECT_EQ(seen.line, 0);
  EXPECT_TRUE(seen.promises.has_functions);
  EXPECT_FALSE(seen.promises.has_filenames);
  EXPECT_FALSE(seen.promises.has_line_numbers);
}

TEST_F(SymbolFiles, StrippedOnesPromiseNoFunctionsWhereOneIsMissing) {
  RunCommand("strip " + path());
  Seen seen;
  ASSERT_NO_FATAL_FAILURE(Sample(
      "PluginCallsHidden", [] {}, &seen));
  EXPECT_EQ(seen.function, "");
  EXPECT_FALSE(seen.promises.has_functions);
}

TEST_F(SymbolFiles, ReplacedOnesGiveNoNames) {
  const std::uint64_t before = ReadStats().symbols_unreadable;
  Seen seen;
  const auto replace = [this] {
    CopyWithNewBuildId(path(), path() + ".new");
    fs::rename(path() + ".new", path());
  };
  ASSERT_NO_FATAL_FAILURE(Sample("PluginWork", replace, &seen));
  EXPECT_EQ(seen.function, "");
  EXPECT_FALSE(seen.promises.has_functions);
  EXPECT_EQ(ReadStats().symbols_unreadable, before + 1);
}

TEST_F(SymbolFiles, DeletedOnesGiveNoNames) {
  const std::uint64_t before = ReadStats().symbols_unreadable;
  Seen seen;
  ASSERT_NO_FATAL_FAILURE(Sample(
      "PluginWork", [this] { fs::remove(path()); }, &seen));
  EXPECT_EQ(seen.function, "");
  EXPECT_EQ(ReadStats().symbols_unreadable, before + 1);
}

// Run by the test below as a process of its own, whose file is at hand in /proc though it is gone.
TEST(SymbolFilesProgram, DISABLED_RemovesItselfWhileItIsSampled) {
  std::string bytes;
  auto profile = StartCpuProfile([&bytes](std::string_view piece) {
    bytes += piece;
    return true;
  });
  ASSERT_TRUE(profile.ok());
  fs::remove(fs::read_symlink("/proc/self/exe"));
  test::BurnMs(300);
  ASSERT_TRUE(profile->Stop().ok());
  std::string error;
  const auto read = pprof_reader::Read(bytes, &error);
  ASSERT_TRUE(read.has_value()) << error;
  std::int64_t named = 0;
  for (const pprof_reader::Sample& sample : read->samples) {
    for (const pprof_reader::Frame& frame : sample.frames) {
      if (frame.function.find("BurnCpu") != std::string_view::npos && frame.line > 0)
        named += sample.count;
    }
  }
  EXPECT_GT(named, 10);
}

TEST_F(SymbolFiles, TheExecutableKeepsNamesAndLinesAfterItsFileIsGone) {
  fs::copy_file("/proc/self/exe", folder_ + "/program");
  RunCommand(folder_ +
             "/program --gtest_also_run_disabled_tests --gtest_filter=SymbolFilesProgram.*");
  EXPECT_FALSE(fs::exists(folder_ + "/program"));
}

}  // namespace
}  // namespace pprof
