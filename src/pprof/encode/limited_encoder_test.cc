#include "src/pprof/encode/limited_encoder.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "src/pprof/encode/pprof_encoder.h"
#include "tests/support/pprof_reader.h"

namespace pprof::encode {
namespace {

using profile::Profile;

// One main binary; functions f0, f1, ... each at one location of it.
class Maker {
 public:
  Maker() {
    profile_.period_ns = 10000000;
    profile_.time_ns = 1000;
    profile::Mapping mapping;
    mapping.memory_start = 0x1000;
    mapping.memory_limit = 0x9000000;
    mapping.file_offset = 0x40;
    mapping.filename = profile_.Intern("/usr/bin/app");
    profile_.mappings.push_back(mapping);
  }

  std::uint32_t Location(const std::string& function) {
    profile::Location location;
    location.mapping = 0;
    location.address = 0x2000 + profile_.locations.size();
    if (!function.empty()) {
      profile::Function added;
      added.name = added.system_name = profile_.Intern(function);
      location.lines.push_back({profile_.AddFunction(added), 7});
    }
    profile_.locations.push_back(location);
    return static_cast<std::uint32_t>(profile_.locations.size() - 1);
  }

  profile::Sample& Sample(std::vector<std::uint32_t> locations, std::int64_t count = 1) {
    profile_.samples.push_back({std::move(locations), count, {}});
    return profile_.samples.back();
  }

  profile::Label Label(std::string_view key, std::string_view value) {
    return {profile_.Intern(key), profile_.Intern(value)};
  }

  Profile Take() {
    profile_.ResolveMappingFlags();
    return std::move(profile_);
  }

 private:
  Profile profile_;
};

std::vector<pprof_reader::Profile> ReadAll(const EncodedWindow& window) {
  std::vector<pprof_reader::Profile> profiles;
  for (const EncodedProfile& encoded : window.profiles) {
    std::string error;
    auto profile = pprof_reader::Read(encoded.gzip, &error);
    EXPECT_TRUE(profile.has_value()) << error;
    if (!profile) continue;
    EXPECT_EQ(profile->time_ns, encoded.time_ns);
    profiles.push_back(*std::move(profile));
  }
  return profiles;
}

Profile ManySamples(int count) {
  Maker maker;
  for (int i = 0; i < count; ++i) {
    maker.Sample({maker.Location("f" + std::to_string(i))}, i + 1);
  }
  return maker.Take();
}

TEST(EncodeLimited, WithoutLimitsWritesWhatTheEncoderWrites) {
  const std::string plain(std::string_view(EncodePprof(ManySamples(100))));
  const EncodedWindow window = EncodeLimited(ManySamples(100), {});
  ASSERT_EQ(window.profiles.size(), 1u);
  EXPECT_EQ(window.profiles[0].raw_bytes, plain.size());
  std::string error;
  EXPECT_EQ(pprof_reader::Inflate(window.profiles[0].gzip, &error), plain);
  EXPECT_EQ(window.profiles[0].samples, 5050u);
}

TEST(EncodeLimited, SplitsBySamplesAndLosesNone) {
  ProfileLimits limits;
  limits.max_samples = 30;
  const EncodedWindow window = EncodeLimited(ManySamples(100), limits);
  ASSERT_EQ(window.profiles.size(), 4u);
  EXPECT_EQ(window.repairs.splits, 3u);
  std::map<std::string, std::int64_t> counts;
  std::set<std::int64_t> times;
  for (const auto& profile : ReadAll(window)) {
    EXPECT_LE(profile.samples.size(), 30u);
    EXPECT_TRUE(times.insert(profile.time_ns).second) << "equal times in one series";
    for (const auto& sample : profile.samples) {
      ASSERT_EQ(sample.frames.size(), 1u);
      EXPECT_EQ(sample.frames[0].module, "/usr/bin/app");
      counts[std::string(sample.frames[0].function)] += sample.count;
    }
  }
  ASSERT_EQ(counts.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(counts["f" + std::to_string(i)], i + 1);
}

TEST(EncodeLimited, SplitsByBytesAndNeverExceedsThem) {
  Maker maker;
  std::vector<std::uint32_t> common;
  for (int i = 0; i < 20; ++i) common.push_back(maker.Location("common" + std::to_string(i)));
  for (int i = 0; i < 2000; ++i) {
    auto stack = common;
    stack.insert(stack.begin(), maker.Location(std::string(static_cast<std::size_t>(i % 300), 'x') +
                                               std::to_string(i)));
    const auto label = maker.Label("span_id", std::to_string(1000000000000000 + i));
    maker.Sample(stack).labels.push_back(label);
  }
  ProfileLimits limits;
  limits.max_bytes = 64 * 1024;
  const EncodedWindow window = EncodeLimited(maker.Take(), limits);
  EXPECT_GT(window.profiles.size(), 5u);
  std::uint64_t samples = 0;
  std::uint64_t raw = 0;
  for (const EncodedProfile& profile : window.profiles) {
    EXPECT_LE(profile.raw_bytes, limits.max_bytes);
    samples += profile.samples;
    raw += profile.raw_bytes;
  }
  EXPECT_EQ(samples, 2000u);
  EXPECT_GT(raw / window.profiles.size(), limits.max_bytes / 3) << "the bound is far too careful";
  for (const auto& profile : ReadAll(window)) {
    for (const auto& sample : profile.samples) EXPECT_EQ(sample.frames.size(), 21u);
  }
}

TEST(EncodeLimited, KeepsTheLeafMostFramesOfASampleThatIsTooLargeAlone) {
  Maker maker;
  std::vector<std::uint32_t> stack;
  for (int i = 0; i < 100; ++i) {
    stack.push_back(maker.Location("f" + std::to_string(i) + std::string(1000, 'x')));
  }
  maker.Sample(stack, 5);
  ProfileLimits limits;
  limits.max_bytes = 32 * 1024;
  const EncodedWindow window = EncodeLimited(maker.Take(), limits);
  ASSERT_EQ(window.profiles.size(), 1u);
  EXPECT_LE(window.profiles[0].raw_bytes, limits.max_bytes);
  EXPECT_EQ(window.profiles[0].samples, 5u);
  EXPECT_EQ(window.repairs.stacks_shortened, 1u);
  const auto profiles = ReadAll(window);
  const auto& frames = profiles.at(0).samples.at(0).frames;
  ASSERT_GT(frames.size(), 10u);
  EXPECT_EQ(frames.front().function.substr(0, 3), "f0x");
  EXPECT_EQ(frames.back().function, "[truncated]");
}

TEST(EncodeLimited, NamesLocationsByModuleAndOffsetOnlyWhenAsked) {
  const auto make = [] {
    Maker maker;
    maker.Sample({maker.Location("")});
    return maker.Take();
  };
  ProfileLimits limits;
  limits.max_samples = 10;
  const auto honest = ReadAll(EncodeLimited(make(), limits));
  EXPECT_EQ(honest.at(0).samples.at(0).frames.at(0).function, "");
  limits.name_every_location = true;
  const auto named = ReadAll(EncodeLimited(make(), limits));
  // 0x2000 lies 0x1000 behind the mapping's start, which holds the file from 0x40 on.
  EXPECT_EQ(named.at(0).samples.at(0).frames.at(0).function, "app+0x1040");
}

TEST(EncodeLimited, MergesTheLightestSpanNames) {
  Maker maker;
  const std::uint32_t f = maker.Location("f");
  for (int i = 0; i < 50; ++i) {
    const auto label = maker.Label("span_name", "op" + std::to_string(i));
    maker.Sample({f}, i < 3 ? 100 : 1).labels.push_back(label);
  }
  ProfileLimits limits;
  limits.max_span_names = 4;
  const EncodedWindow window = EncodeLimited(maker.Take(), limits);
  EXPECT_EQ(window.repairs.span_names_merged, 47u);
  std::map<std::string, std::int64_t> counts;
  const auto profiles = ReadAll(window);
  ASSERT_EQ(profiles.size(), 1u);
  for (const auto& sample : profiles[0].samples) {
    counts[std::string(sample.Label("span_name"))] += sample.count;
  }
  EXPECT_EQ(counts, (std::map<std::string, std::int64_t>{
                        {"op0", 100}, {"op1", 100}, {"op2", 100}, {"other", 47}}));
  EXPECT_EQ(profiles[0].samples.size(), 4u) << "equal samples are one";
}

TEST(EncodeLimited, KeepsLabelsWithinTheirLimits) {
  Maker maker;
  const std::vector<profile::Label> labels = {maker.Label("span_id", "0123456789abcdef"),
                                              maker.Label("k", std::string(9, 'v')),
                                              maker.Label("long1", "a"), maker.Label("long2", "b"),
                                              maker.Label("z", "\xC3\xA4\xC3\xA4\xC3\xA4")};
  const std::uint32_t f = maker.Location("f");
  maker.Sample({f}).labels = labels;
  ProfileLimits limits;
  limits.max_label_name_bytes = 4;
  limits.max_label_value_bytes = 5;
  limits.max_labels_per_sample = 4;
  const EncodedWindow window = EncodeLimited(maker.Take(), limits);
  const auto profiles = ReadAll(window);
  const auto& sample = profiles.at(0).samples.at(0);
  EXPECT_EQ(sample.Label("k"), "vvvvv");
  EXPECT_EQ(sample.Label("long"), "a") << "the second name is equal when cut";
  EXPECT_EQ(sample.Label("z"), "\xC3\xA4\xC3\xA4") << "cut between two characters";
  EXPECT_EQ(window.repairs.labels_dropped, 1u);
}

TEST(EncodeLimited, PromisesFunctionsForEveryMappingWhenAllAreNamed) {
  Maker maker;
  maker.Sample({maker.Location("")});
  Profile profile = maker.Take();
  profile::Location special;  // the profiler's own frames have no mapping
  profile::Function function;
  function.name = profile.Intern("[lost: ring full]");
  special.lines.push_back({profile.AddFunction(function), 0});
  profile.locations.push_back(special);
  profile.samples.push_back({{1}, 1, {}});
  ProfileLimits limits;
  limits.name_every_location = true;
  const auto profiles = ReadAll(EncodeLimited(std::move(profile), limits));
  for (const auto& sample : profiles.at(0).samples) {
    EXPECT_NE(sample.frames.at(0).module, "") << sample.frames.at(0).function;
  }
}

}  // namespace
}  // namespace pprof::encode
