#include "src/pprof/profile/profile.h"

#include <gtest/gtest.h>

namespace pprof::profile {
namespace {

TEST(Profile, StartsWithTheStringsOfEveryCpuProfile) {
  const Profile profile;
  ASSERT_EQ(profile.strings().size(), 5u);
  EXPECT_EQ(profile.strings()[0], "");
  EXPECT_EQ(profile.strings()[Profile::kSamples], "samples");
  EXPECT_EQ(profile.strings()[Profile::kCount], "count");
  EXPECT_EQ(profile.strings()[Profile::kCpu], "cpu");
  EXPECT_EQ(profile.strings()[Profile::kNanoseconds], "nanoseconds");
}

TEST(Profile, InternsEqualTextOnce) {
  Profile profile;
  const StringId main = profile.Intern("main");
  EXPECT_NE(profile.Intern("Main"), main);
  EXPECT_EQ(profile.Intern(std::string("main")), main);
  EXPECT_EQ(profile.Intern(""), 0u);
  EXPECT_EQ(profile.Intern("cpu"), Profile::kCpu);
  EXPECT_EQ(profile.strings()[main], "main");
  EXPECT_EQ(profile.strings().size(), 7u);
}

TEST(Profile, InternsBrokenTextAsItsRepairedForm) {
  Profile profile;
  const StringId id = profile.Intern("caf\xE9");
  EXPECT_EQ(profile.strings()[id], "caf\xEF\xBF\xBD");
  EXPECT_EQ(profile.Intern("caf\xEF\xBF\xBD"), id);
  EXPECT_EQ(profile.Intern("caf\xFF"), id);
}

TEST(Profile, KeepsIdsOverManyStrings) {
  Profile profile;
  for (int i = 0; i < 20000; ++i) {
    ASSERT_EQ(profile.Intern("s" + std::to_string(i)), static_cast<StringId>(5 + i));
  }
  EXPECT_EQ(profile.Intern("s0"), 5u);
  EXPECT_EQ(profile.Intern("s19999"), 20004u);
}

TEST(Profile, InternsAfterAMove) {
  Profile first;
  const StringId id = first.Intern("x");  // short: lives inside the string object
  const std::uint32_t function = first.AddFunction({id, 0, 0, 0});
  Profile second = std::move(first);
  EXPECT_EQ(second.Intern("x"), id);
  EXPECT_EQ(second.AddFunction({id, 0, 0, 0}), function);
  Profile third;
  third.Intern("other");
  third = std::move(second);
  EXPECT_EQ(third.Intern("x"), id);
  EXPECT_EQ(third.strings()[id], "x");
}

TEST(Profile, MakesFunctionsWithEqualFieldsOne) {
  Profile profile;
  const Function base{7, 8, 9, 10};
  const std::uint32_t first = profile.AddFunction(base);
  EXPECT_EQ(profile.AddFunction(base), first);
  for (const Function& other : {Function{1, 8, 9, 10}, Function{7, 1, 9, 10}, Function{7, 8, 1, 10},
                                Function{7, 8, 9, 1}, Function{8, 7, 9, 10}}) {
    EXPECT_NE(profile.AddFunction(other), first);
  }
  ASSERT_EQ(profile.functions.size(), 6u);
  EXPECT_EQ(profile.functions[first].filename, 9u);
}

class MappingFlags : public ::testing::Test {
 protected:
  // One mapping with a fully known location.
  MappingFlags() {
    profile_.mappings.emplace_back();
    known_ = profile_.AddFunction({profile_.Intern("f"), 0, profile_.Intern("f.cc"), 1});
    Add({{known_, 12}});
  }

  void Add(std::vector<Line> lines) {
    profile_.locations.push_back({0, 0x1000, std::move(lines)});
    profile_.ResolveMappingFlags();
  }

  const Mapping& mapping() const { return profile_.mappings[0]; }

  Profile profile_;
  std::uint32_t known_ = 0;
};

TEST_F(MappingFlags, AreSetWhenEveryLocationKeepsThem) {
  EXPECT_TRUE(mapping().has_functions);
  EXPECT_TRUE(mapping().has_filenames);
  EXPECT_TRUE(mapping().has_line_numbers);
  EXPECT_FALSE(mapping().has_inline_frames);
}

TEST_F(MappingFlags, AreTakenBackByOneBareAddress) {
  Add({});
  EXPECT_FALSE(mapping().has_functions);
  EXPECT_FALSE(mapping().has_filenames);
  EXPECT_FALSE(mapping().has_line_numbers);
}

TEST_F(MappingFlags, TellInlinedFunctions) {
  Add({{known_, 3}, {known_, 4}});
  EXPECT_TRUE(mapping().has_functions);
  EXPECT_TRUE(mapping().has_inline_frames);
}

TEST_F(MappingFlags, LookAtEveryLineOfALocation) {
  const std::uint32_t no_file = profile_.AddFunction({profile_.Intern("g"), 0, 0, 0});
  Add({{known_, 3}, {no_file, 0}});
  EXPECT_TRUE(mapping().has_functions);
  EXPECT_FALSE(mapping().has_filenames);
  EXPECT_FALSE(mapping().has_line_numbers);
}

TEST_F(MappingFlags, WantAFunctionToHaveAName) {
  const std::uint32_t no_name = profile_.AddFunction({0, 0, profile_.Intern("f.cc"), 0});
  Add({{no_name, 3}});
  EXPECT_FALSE(mapping().has_functions);
  EXPECT_TRUE(mapping().has_line_numbers);
}

TEST_F(MappingFlags, PromiseNothingForAMappingWithoutLocations) {
  profile_.mappings.emplace_back();
  profile_.mappings[1].has_functions = true;
  profile_.locations.push_back({-1, 0, {}});  // no mapping at all: nobody's promise
  profile_.ResolveMappingFlags();
  EXPECT_TRUE(mapping().has_functions);
  EXPECT_FALSE(profile_.mappings[1].has_functions);
  EXPECT_FALSE(profile_.mappings[1].has_line_numbers);
}

}  // namespace
}  // namespace pprof::profile
