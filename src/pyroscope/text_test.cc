#include "src/pyroscope/text.h"

#include <gtest/gtest.h>

#include <string>

namespace pyroscope::internal {
namespace {

using namespace std::string_literals;

TEST(Text, Utf8IsWhatTheStandardSays) {
  for (const std::string& good : {""s, "a\0b"s, "h\xC3\xA9"s, "\xE2\x82\xAC"s, "\xF0\x9F\x98\x80"s,
                                  "\xEF\xBF\xBF"s, "\xF4\x8F\xBF\xBF"s}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  for (const std::string& bad : {"\x80"s, "\xC3"s, "\xC0\xAF"s, "\xE0\x80\xAF"s, "\xED\xA0\x80"s,
                                 "\xF4\x90\x80\x80"s, "\xF5\x80\x80\x80"s, "\xE2\x82"s, "a\xFF"s}) {
    EXPECT_FALSE(IsUtf8(bad)) << bad;
  }
}

TEST(Text, PrintableIsOneHarmlessLine) {
  EXPECT_EQ(Printable("two\r\nlines\tand", 100), "two  lines and");
  EXPECT_EQ(Printable("\x1b[31mred\0\x7f"s, 100), "?[31mred??");
  EXPECT_EQ(Printable("caf\xC3\xA9 \xF0\x9F\x98\x80", 100), "caf\xC3\xA9 \xF0\x9F\x98\x80");
  EXPECT_EQ(Printable("broken \xC3 end", 100), "broken ? end");
  EXPECT_EQ(Printable("\xC2\x85next \xE2\x80\xA8line \xE2\x80\xAEreversed", 100),
            "?next ?line ?reversed");
}

TEST(Text, PrintableIsCutBetweenCharacters) {
  EXPECT_EQ(Printable("abcdef", 6), "abcdef");
  EXPECT_EQ(Printable("abcdefg", 6), "abc...");
  EXPECT_EQ(Printable("ab\xE2\x82\xAC\xE2\x82\xAC", 7), "ab...");
  EXPECT_EQ(Printable("abc", 2), "..");
  EXPECT_EQ(Printable("abc", 0), "");
}

TEST(Redactor, TakesSecretsOut) {
  Redactor redactor;
  redactor.Add("secret");
  redactor.Add("secret-and-more");
  redactor.Add("abc");  // too short to be looked for
  EXPECT_EQ(redactor.Clean("got secret-and-more, secret\nand abc", 100), "got ***, *** and abc");
}

TEST(Redactor, TakesOutBeforeItCuts) {
  Redactor redactor;
  redactor.Add("password");
  EXPECT_EQ(redactor.Clean("12345password", 10), "12345***");
}

}  // namespace
}  // namespace pyroscope::internal
