#include "src/pprof/profile/utf8.h"

#include <gtest/gtest.h>

namespace pprof::profile {
namespace {

#define FFFD "\xEF\xBF\xBD"

// input -> what is left of it after repair
struct Case {
  std::string_view in;
  std::string_view out;
};

TEST(RepairUtf8, KeepsValidText) {
  for (const std::string_view text :
       {std::string_view(""), std::string_view("main"), std::string_view("exactly8"),
        std::string_view("std::vector<int>::push_back(int const&)"),
        std::string_view("\0zero", 5),                             // U+0000 is valid
        std::string_view("\x7F\xC2\x80\xDF\xBF"),                  // borders of two bytes
        std::string_view("\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80"),  // three, around surrogates
        std::string_view("\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"),  // four
        std::string_view("größe_маршрут_距離_🚲")}) {
    EXPECT_EQ(ValidUtf8Prefix(text), text.size()) << text;
    EXPECT_EQ(RepairUtf8(text), text);
  }
}

TEST(RepairUtf8, ReplacesEachBrokenByte) {
  const Case cases[] = {
      {"\x80", FFFD},                                    // continuation without lead
      {"a\xFFz", "a" FFFD "z"},                          // never a byte of UTF-8
      {"\xC3", FFFD},                                    // cut after the lead
      {"\xE8\xB7", FFFD FFFD},                           // cut inside
      {"\xF0\x9F\x9A", FFFD FFFD FFFD},                  // cut before the last
      {"\xC0\xAF", FFFD FFFD},                           // overlong '/'
      {"\xC1\xBF", FFFD FFFD},                           // overlong
      {"\xE0\x9F\xBF", FFFD FFFD FFFD},                  // overlong
      {"\xF0\x8F\xBF\xBF", FFFD FFFD FFFD FFFD},         // overlong
      {"\xED\xA0\x80", FFFD FFFD FFFD},                  // surrogate
      {"\xF4\x90\x80\x80", FFFD FFFD FFFD FFFD},         // above U+10FFFF
      {"\xF5\x80\x80\x80", FFFD FFFD FFFD FFFD},         // above U+10FFFF
      {"caf\xE9 cr\xE8me", "caf" FFFD " cr" FFFD "me"},  // Latin-1
      {"0123456\xC3\xA9\x80tail_of_it", "0123456\xC3\xA9" FFFD "tail_of_it"},
  };
  for (const Case& c : cases) {
    EXPECT_LT(ValidUtf8Prefix(c.in), c.in.size()) << c.out;
    EXPECT_EQ(RepairUtf8(c.in), c.out);
  }
}

TEST(RepairUtf8, FindsABrokenByteAtEveryOffset) {
  for (std::size_t offset = 0; offset < 40; ++offset) {
    std::string text(40, 'x');
    text[offset] = '\x9C';
    EXPECT_EQ(ValidUtf8Prefix(text), offset);
    std::string expected(40, 'x');
    expected.replace(offset, 1, FFFD);
    EXPECT_EQ(RepairUtf8(text), expected);
  }
}

}  // namespace
}  // namespace pprof::profile
