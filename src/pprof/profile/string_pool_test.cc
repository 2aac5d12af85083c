#include "src/pprof/profile/string_pool.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace pprof::profile {
namespace {

TEST(StringPool, GivesOneNumberATextInTheOrderOfTheirComing) {
  StringPool pool;
  EXPECT_EQ(pool.Intern(""), 0u);
  EXPECT_EQ(pool.Intern("a"), 1u);
  EXPECT_EQ(pool.Intern(std::string_view("a\0", 2)), 2u);
  EXPECT_EQ(pool.Intern("a"), 1u);
  EXPECT_EQ(pool.Intern(""), 0u);
  EXPECT_EQ(pool.strings()[2].size(), 2u);
}

TEST(StringPool, KeepsManyTextsOfEverySize) {
  StringPool pool;
  const auto text = [](std::size_t i) { return std::to_string(i) + std::string(i % 97, 'x'); };
  for (std::size_t i = 0; i < 30000; ++i) ASSERT_EQ(pool.Intern(text(i)), i);
  const std::string large(300000, 'y');
  EXPECT_EQ(pool.Intern(large), 30000u);
  for (std::size_t i = 0; i < 30000; ++i) {
    ASSERT_EQ(pool.Intern(text(i)), i);
    ASSERT_EQ(pool.strings()[i], text(i));
  }
  EXPECT_EQ(pool.strings()[30000], large);
}

TEST(StringPool, TextsStayWhereTheyAreWhenItIsMoved) {
  StringPool first;
  const std::uint32_t id = first.Intern("short");
  const std::string_view text = first.strings()[id];
  StringPool second = std::move(first);
  EXPECT_EQ(second.strings()[id].data(), text.data());
  EXPECT_EQ(second.Intern("short"), id);
}

}  // namespace
}  // namespace pprof::profile
