// What the encoder writes, seen by the programs that people use: the reference reader (pprofcheck)
// and `go tool pprof`. Synthetic profiles with everything that has gone wrong elsewhere.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "src/pprof/encode/pprof_encoder.h"

namespace pprof::encode {
namespace {

using profile::Profile;

struct Outcome {
  int status = -1;     // exit code
  std::string output;  // both streams
};

Outcome RunCommand(const std::string& command) {
  Outcome outcome;
  std::FILE* pipe = ::popen(("{ " + command + "; } 2>&1").c_str(), "r");
  if (pipe == nullptr) return outcome;
  char piece[4096];
  for (std::size_t n = 0; (n = std::fread(piece, 1, sizeof(piece), pipe)) > 0;) {
    outcome.output.append(piece, n);
  }
  const int status = ::pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

// Ids as they come: `go tool pprof` reads a bare 1234567890123456 as a number and "digits, then
// letters" as a number with a unit; anchored patterns match all of them.
constexpr const char* kIds[] = {"0000000000000123", "1234567890123456", "123456789012345e",
                                "abcdef0123456789"};

class PprofTools : public ::testing::Test {
 protected:
  PprofTools() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pprof_tools_XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) folder_ = pattern;
    profile_.period_ns = 10000000;
    profile_.time_ns = 1700000000000000000;
    profile_.duration_ns = 1000000000;
    AddMapping("/nonexistent/app", 0x400000);
    AddMapping("/nonexistent/libstripped.so.6", 0x7f0000000000);
    main_ = AddLocation(0, {"main"});
  }
  ~PprofTools() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  void AddMapping(const std::string& path, std::uint64_t start) {
    profile::Mapping mapping;
    mapping.memory_start = start;
    mapping.memory_limit = start + 0x100000;
    mapping.filename = profile_.Intern(path);
    mapping.build_id = profile_.Intern("00ff" + std::to_string(profile_.mappings.size()));
    profile_.mappings.push_back(mapping);
  }

  // names: innermost inlined function first; none: an address without symbols.
  std::uint32_t AddLocation(std::int32_t mapping, const std::vector<std::string>& names) {
    profile::Location location;
    location.mapping = mapping;
    const auto index = static_cast<std::uint32_t>(profile_.locations.size());
    if (mapping >= 0) {
      location.address = profile_.mappings[static_cast<std::size_t>(mapping)].memory_start + index;
    }
    for (const std::string& name : names) {
      profile::Function function;
      function.name = profile_.Intern(name);
      function.system_name = function.name;
      function.filename = profile_.Intern("/src/" + name + ".cc");
      location.lines.push_back({profile_.AddFunction(function), 10 + index});
    }
    profile_.locations.push_back(std::move(location));
    return index;
  }

  profile::Sample& AddSample(std::vector<std::uint32_t> stack, std::int64_t count = 1) {
    profile::Sample sample;
    sample.locations = std::move(stack);
    sample.locations.push_back(main_);
    sample.count = count;
    profile_.samples.push_back(std::move(sample));
    return profile_.samples.back();
  }

  void Label(profile::Sample* sample, const std::string& key, const std::string& value) {
    sample->labels.push_back({profile_.Intern(key), profile_.Intern(value)});
  }

  std::string Write() {
    profile_.ResolveMappingFlags();
    const std::string path = folder_ + "/cpu.pb.gz";
    std::ofstream out(path, std::ios::binary);
    EXPECT_TRUE(WriteGzip(EncodePprof(profile_), [&out](std::string_view piece) {
      return static_cast<bool>(out.write(piece.data(), static_cast<std::streamsize>(piece.size())));
    }));
    return path;
  }

  void ExpectGood(const std::string& path) {
    const Outcome check = RunCommand(OTELPROF_PPROFCHECK " check " + path + " -rate 100");
    EXPECT_EQ(check.status, 0) << check.output;
  }

  Outcome Top(const std::string& path, const std::string& flags) {
    return RunCommand("PPROF_TMPDIR=" + folder_ + " " OTELPROF_GO " tool pprof -top " + flags +
                      " " + path);
  }

  Profile profile_;
  std::string folder_;
  std::uint32_t main_ = 0;
};

TEST_F(PprofTools, FindASpanByItsAnchoredId) {
  for (const std::string id : kIds) {
    Label(&AddSample({AddLocation(0, {"work_" + id})}, 2), "span_id", id);
  }
  AddSample({AddLocation(0, {"idle"})});
  const std::string path = Write();
  ExpectGood(path);
  for (const std::string id : kIds) {
    const Outcome top = Top(path, "'-tagfocus=span_id=^" + id + "$'");
    EXPECT_EQ(top.status, 0) << top.output;
    EXPECT_EQ(top.output.find("idle"), std::string::npos) << top.output;
    EXPECT_NE(top.output.find("20ms"), std::string::npos) << top.output;
    for (const std::string other : kIds) {
      const bool shown = top.output.find("work_" + other) != std::string::npos;
      EXPECT_EQ(shown, other == id) << other << '\n' << top.output;
    }
    const Outcome sum = RunCommand(OTELPROF_PPROFCHECK " sum " + path + " -label span_id=" + id);
    EXPECT_NE(sum.output.find("\"cpu_ns\": 20000000"), std::string::npos) << sum.output;
  }
}

TEST_F(PprofTools, ShowInlinedFunctionsWithTheirLines) {
  AddSample({AddLocation(0, {"innermost", "middle", "outermost"})});
  const std::string path = Write();
  ExpectGood(path);
  const Outcome lines = Top(path, "-lines");
  for (const char* expected : {"innermost /src/innermost.cc:11", "middle /src/middle.cc:11",
                               "outermost /src/outermost.cc:11", "main /src/main.cc:10"}) {
    EXPECT_NE(lines.output.find(expected), std::string::npos) << lines.output;
  }
}

TEST_F(PprofTools, TakeAMappingWithoutSymbols) {
  AddSample({AddLocation(1, {}), AddLocation(0, {"caller"})});
  AddSample({AddLocation(1, {}), AddLocation(1, {"exported"})});
  const std::string path = Write();
  ExpectGood(path);
  const Outcome top = Top(path, "");
  EXPECT_EQ(top.status, 0) << top.output;
  EXPECT_NE(top.output.find("libstripped.so.6"), std::string::npos) << top.output;
  EXPECT_NE(top.output.find("caller"), std::string::npos) << top.output;
}

TEST_F(PprofTools, TakeStacksOf512FramesUnderANamedRoot) {
  const std::uint32_t deep = AddLocation(0, {"recurse"});
  std::vector<std::uint32_t> stack(511, deep);
  AddSample(stack);  // with main: 512 frames
  AddSample({deep}).locations.assign(512, deep);
  profile_.samples.back().locations.push_back(AddLocation(-1, {"[truncated]"}));
  const std::string path = Write();
  ExpectGood(path);
  const Outcome top = Top(path, "-cum");
  EXPECT_NE(top.output.find("recurse"), std::string::npos) << top.output;
  EXPECT_NE(top.output.find("[truncated]"), std::string::npos) << top.output;
}

TEST_F(PprofTools, TakeOddText) {
  Label(&AddSample({AddLocation(0, {"caf\xE9::\xFF\xC0\xAF"})}), "k\xE9y", "\xF0\x9F\x9A value");
  Label(&AddSample({AddLocation(0, {"größe<距離>"})}), "маршрут", "a=b c\nd");
  Label(&AddSample({AddLocation(0, {std::string("zero\0byte", 9)})}), "cpu", "samples");
  const std::string path = Write();
  ExpectGood(path);
  const Outcome labels = RunCommand(OTELPROF_PPROFCHECK " labels " + path);
  EXPECT_EQ(labels.status, 0) << labels.output;
  for (const char* expected : {"k\xEF\xBF\xBDy", "маршрут", R"(a=b c\nd)", R"("key": "cpu")"}) {
    EXPECT_NE(labels.output.find(expected), std::string::npos) << labels.output;
  }
}

TEST_F(PprofTools, RefuseWhatBreaksAPromise) {
  Label(&AddSample({AddLocation(0, {"f"})}), "span_id", "00000000000000ms");
  const Outcome check = RunCommand(OTELPROF_PPROFCHECK " check " + Write());
  EXPECT_EQ(check.status, 1);
  EXPECT_NE(check.output.find("span_id is \"00000000000000ms\""), std::string::npos)
      << check.output;
}

}  // namespace
}  // namespace pprof::encode
