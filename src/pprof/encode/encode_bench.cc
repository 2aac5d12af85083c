// Cost of writing one profile of the size at which receivers refuse more: 16,000 samples over 5,000
// distinct stacks of 25 frames and 3,000 locations, every sample with ids of its own. Budget: 50 ms
// for encoding and compressing.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <random>
#include <string>

#include "src/pprof/encode/pprof_encoder.h"

namespace {

using pprof::profile::Function;
using pprof::profile::Label;
using pprof::profile::Location;
using pprof::profile::Mapping;
using pprof::profile::Profile;
using pprof::profile::Sample;

constexpr std::size_t kSampleCount = 16000;
constexpr std::size_t kStackCount = 5000;
constexpr std::size_t kDepth = 25;
constexpr std::uint32_t kLocationCount = 3000;

// Ten mappings; names as long as C++ makes them; every fourth location has inlined functions.
void AddLocations(Profile* profile) {
  for (std::uint64_t i = 0; i < 10; ++i) {
    Mapping mapping;
    mapping.memory_start = 0x7f0000000000 + (i << 24);
    mapping.memory_limit = mapping.memory_start + (1u << 22);
    mapping.filename =
        profile->Intern("/usr/lib/x86_64-linux-gnu/lib" + std::to_string(i) + ".so.6");
    mapping.build_id = profile->Intern(std::string(39, 'a') + std::to_string(i));
    profile->mappings.push_back(mapping);
  }
  std::mt19937 random(1);
  for (std::uint32_t i = 0; i < kLocationCount; ++i) {
    Location location;
    location.mapping = static_cast<std::int32_t>(i % 10);
    location.address = profile->mappings[i % 10].memory_start + random() % (1u << 22);
    for (std::uint32_t inlined = i % 4 == 0 ? 3 : 1; inlined > 0; --inlined) {
      const std::string number = std::to_string(inlined == 1 ? i / 2 : random() % 400);
      Function function;
      function.name = profile->Intern("shop::catalog::Index<std::string>::Find" + number +
                                      "(std::string const&, unsigned long)");
      function.system_name = profile->Intern("_ZN4shop7catalog5IndexISsE4Find" + number + "ERKSsm");
      function.filename =
          profile->Intern("/src/shop/catalog/index_" + std::to_string(i % 200) + ".h");
      function.start_line = 10 + i % 500;
      location.lines.push_back({profile->AddFunction(function), 12 + i % 500});
    }
    profile->locations.push_back(location);
  }
  profile->ResolveMappingFlags();
}

std::string Hex(std::mt19937_64* random, int words) {
  std::string text;
  for (int i = 0; i < words; ++i) {
    char word[17];
    std::snprintf(word, sizeof(word), "%016llx", static_cast<unsigned long long>((*random)()));
    text += word;
  }
  return text;
}

// Stacks share their root-most frames, as those of a real program do.
std::vector<std::vector<std::uint32_t>> MakeStacks() {
  std::mt19937 random(2);
  std::vector<std::vector<std::uint32_t>> stacks(kStackCount);
  for (std::size_t i = 0; i < kStackCount; ++i) {
    const std::size_t shared = i == 0 ? 0 : random() % kDepth;
    for (std::size_t frame = 0; frame < kDepth - shared; ++frame) {
      stacks[i].push_back(static_cast<std::uint32_t>(random() % kLocationCount));
    }
    if (shared == 0) continue;
    const std::vector<std::uint32_t>& other = stacks[random() % i];
    stacks[i].insert(stacks[i].end(), other.end() - static_cast<std::ptrdiff_t>(shared),
                     other.end());
  }
  return stacks;
}

Profile MakeProfile() {
  Profile profile;
  profile.period_ns = 10000000;
  profile.time_ns = 1700000000000000000;
  profile.duration_ns = 15000000000;
  AddLocations(&profile);
  const std::vector<std::vector<std::uint32_t>> stacks = MakeStacks();
  const auto span_key = profile.Intern("span_id");
  const auto trace_key = profile.Intern("trace_id");
  const auto name_key = profile.Intern("span_name");
  std::mt19937_64 random(3);
  for (std::size_t i = 0; i < kSampleCount; ++i) {
    Sample sample;
    sample.locations = stacks[i % kStackCount];
    sample.count = 1;
    sample.labels = {Label{span_key, profile.Intern(Hex(&random, 1))},
                     Label{trace_key, profile.Intern(Hex(&random, 2))},
                     Label{name_key, profile.Intern("GET /route/" + std::to_string(i % 20))}};
    profile.samples.push_back(std::move(sample));
  }
  return profile;
}

void Encode(benchmark::State& state) {
  const Profile profile = MakeProfile();
  std::size_t size = 0;
  for (auto iteration : state) size = pprof::encode::EncodePprof(profile).size();
  state.counters["bytes"] = static_cast<double>(size);
}
BENCHMARK(Encode)->Unit(benchmark::kMillisecond);

void EncodeAndCompress(benchmark::State& state) {
  const Profile profile = MakeProfile();
  std::size_t size = 0;
  for (auto iteration : state) {
    size = 0;
    const auto bytes = pprof::encode::EncodePprof(profile);
    const bool written = pprof::encode::WriteGzip(bytes, [&size](std::string_view piece) {
      size += piece.size();
      return true;
    });
    if (!written) state.SkipWithError("no memory");
  }
  state.counters["bytes"] = static_cast<double>(size);
}
BENCHMARK(EncodeAndCompress)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
