#include "src/pprof/encode/pprof_encoder.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/pprof_reader.h"

namespace pprof::encode {
namespace {

using profile::Profile;

std::string Bytes(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values) bytes.push_back(static_cast<char>(value));
  return bytes;
}

// A string_table entry.
std::string Text(std::string_view text) {
  return Bytes({0x32, static_cast<int>(text.size())}) + std::string(text);
}

std::string Head() { return Bytes({0x0A, 4, 0x08, 1, 0x10, 2, 0x0A, 4, 0x08, 3, 0x10, 4}); }

std::string CommonStrings() {
  return Text("") + Text("samples") + Text("count") + Text("cpu") + Text("nanoseconds");
}

// Written by hand from profile.proto and the protobuf encoding rules (tag = number << 3 | wire
// type), not by a library.
TEST(EncodePprof, WritesAnEmptyProfile) {
  const std::string expected = Head() + CommonStrings() +
                               Bytes({0x5A, 4, 0x08, 3, 0x10, 4,  // period_type cpu/nanoseconds
                                      0x70, 3});                  // default_sample_type cpu
  EXPECT_EQ(std::string_view(EncodePprof(Profile())), expected);
}

Profile SmallProfile() {
  Profile profile;
  profile.period_ns = 10000000;
  profile.time_ns = 300;
  profile.duration_ns = 5;
  profile::Mapping mapping;
  mapping.memory_start = 0x1000;
  mapping.memory_limit = 0x2000;
  mapping.file_offset = 0x80;
  mapping.filename = profile.Intern("/bin/x");  // 5
  mapping.build_id = profile.Intern("ab");      // 6
  profile.mappings.push_back(mapping);
  profile::Function function;
  function.name = profile.Intern("f");          // 7
  function.system_name = profile.Intern("_f");  // 8
  function.filename = profile.Intern("f.cc");   // 9
  function.start_line = 3;
  const std::uint32_t id = profile.AddFunction(function);
  profile.locations.push_back({0, 0x1234, {{id, 4}, {id, 200}}});
  profile.locations.push_back({-1, 0, {{id, 0}}});
  profile.ResolveMappingFlags();
  profile::Sample sample;
  sample.locations = {0, 1};
  sample.count = 2;
  sample.labels = {{profile.Intern("k"), profile.Intern("v")}};  // 10, 11
  profile.samples.push_back(sample);
  profile.comments.push_back(profile.Intern("c"));  // 12
  return profile;
}

TEST(EncodePprof, WritesEachFieldAtItsNumber) {
  const std::string sample = Bytes({0x12, 17,                                //
                                    0x0A, 2, 1, 2,                           // location_id
                                    0x12, 5, 2, 0x80, 0xDA, 0xC4, 0x09,      // 2, 20000000
                                    0x1A, 4, 0x08, 10, 0x10, 11});           // label
  const std::string mapping = Bytes({0x1A, 23,   0x08, 1,                    // id
                                     0x10, 0x80, 0x20, 0x18, 0x80, 0x40,     // start, limit
                                     0x20, 0x80, 0x01, 0x28, 5,    0x30, 6,  // offset, names
                                     0x38, 1,    0x40, 1,    0x48, 1,    0x50, 1});      // has_*
  const std::string locations = Bytes({0x22, 20, 0x08, 1, 0x10, 1,    0x18, 0xB4, 0x24,  // address
                                       0x22, 4,  0x08, 1, 0x10, 4,                       // line 4
                                       0x22, 5,  0x08, 1, 0x10, 0xC8, 0x01,              // line 200
                                       0x22, 6,  0x08, 2, 0x22, 2,    0x08, 1});  // no mapping
  const std::string function = Bytes({0x2A, 10, 0x08, 1, 0x10, 7, 0x18, 8, 0x20, 9, 0x28, 3});
  const std::string tail = Bytes({0x48, 0xAC, 0x02, 0x50, 5,        // time, duration
                                  0x5A, 4,    0x08, 3,    0x10, 4,  // period_type
                                  0x60, 0x80, 0xAD, 0xE2, 0x04,     // period 10000000
                                  0x68, 12,   0x70, 3});            // comment, default
  EXPECT_EQ(std::string_view(EncodePprof(SmallProfile())),
            Head() + sample + mapping + locations + function + CommonStrings() + Text("/bin/x") +
                Text("ab") + Text("f") + Text("_f") + Text("f.cc") + Text("k") + Text("v") +
                Text("c") + tail);
}

pprof_reader::Profile RoundTrip(const Profile& profile) {
  std::string gzip;
  EXPECT_TRUE(WriteGzip(EncodePprof(profile), [&gzip](std::string_view piece) {
    gzip.append(piece);
    return true;
  }));
  std::string error;
  std::optional<pprof_reader::Profile> read = pprof_reader::Read(gzip, &error);
  EXPECT_TRUE(read.has_value()) << error;
  return read.value_or(pprof_reader::Profile());
}

TEST(EncodePprof, IsReadBackAsItWas) {
  const pprof_reader::Profile read = RoundTrip(SmallProfile());
  ASSERT_EQ(read.samples.size(), 1u);
  const pprof_reader::Sample& sample = read.samples[0];
  EXPECT_EQ(sample.count, 2);
  EXPECT_EQ(sample.cpu_ns, 20000000);
  EXPECT_EQ(sample.labels, (std::map<std::string_view, std::string_view>{{"k", "v"}}));
  ASSERT_EQ(sample.frames.size(), 3u);
  EXPECT_EQ(sample.frames[0].line, 4);
  EXPECT_TRUE(sample.frames[0].inlined);
  EXPECT_EQ(sample.frames[1].line, 200);
  EXPECT_FALSE(sample.frames[1].inlined);
  EXPECT_EQ(sample.frames[1].function, "f");
  EXPECT_EQ(sample.frames[1].file, "f.cc");
  EXPECT_EQ(sample.frames[1].address, 0x1234u);
  EXPECT_EQ(sample.frames[1].module, "/bin/x");
  EXPECT_EQ(read.period_ns, 10000000);
  EXPECT_EQ(read.time_ns, 300);
  EXPECT_EQ(read.duration_ns, 5);
  EXPECT_EQ(read.comments, std::vector<std::string_view>{"c"});
}

TEST(EncodePprof, LeavesOutLabelsWithoutKeyOrValue) {
  Profile profile = SmallProfile();
  profile.samples[0].labels.push_back({profile.Intern("empty"), 0});
  profile.samples[0].labels.push_back({0, profile.Intern("nameless")});
  EXPECT_EQ(RoundTrip(profile).samples[0].labels.size(), 1u);
}

TEST(EncodePprof, HoldsTheCpuTimeAtTheLargestNumber) {
  Profile profile = SmallProfile();
  profile.samples[0].count = std::numeric_limits<std::int64_t>::max() / 2;
  EXPECT_EQ(RoundTrip(profile).samples[0].cpu_ns, std::numeric_limits<std::int64_t>::max());
}

TEST(EncodePprof, KeepsAddressesOfTheUpperHalf) {
  Profile profile = SmallProfile();
  profile.locations[0].address = 0xFFFFFFFFFF600123;  // vsyscall page
  EXPECT_EQ(RoundTrip(profile).samples[0].frames[0].address, 0xFFFFFFFFFF600123u);
}

TEST(WriteGzip, HandsOverLongOutputInPieces) {
  std::string bytes(300000, '\0');
  std::uint32_t state = 1;
  for (char& byte : bytes) {  // noise does not shrink
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>(state >> 24);
  }
  int pieces = 0;
  std::string gzip;
  ASSERT_TRUE(WriteGzip(bytes, [&](std::string_view piece) {
    ++pieces;
    EXPECT_LE(piece.size(), 64u * 1024);
    gzip.append(piece);
    return true;
  }));
  EXPECT_GE(pieces, 5);
  std::string error;
  EXPECT_EQ(pprof_reader::Inflate(gzip, &error), bytes) << error;
}

TEST(WriteGzip, CompressesNothingToAMember) {
  std::string gzip;
  ASSERT_TRUE(WriteGzip("", [&gzip](std::string_view piece) {
    gzip.append(piece);
    return true;
  }));
  std::string error;
  EXPECT_EQ(gzip.substr(0, 2), "\x1F\x8B");
  EXPECT_EQ(pprof_reader::Inflate(gzip, &error), "") << error;
}

TEST(WriteGzip, StopsWhenTheWriterRefuses) {
  int calls = 0;
  EXPECT_FALSE(WriteGzip("some bytes", [&calls](std::string_view) {
    ++calls;
    return false;
  }));
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace pprof::encode
