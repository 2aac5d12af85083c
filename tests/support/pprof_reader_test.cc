#include "tests/support/pprof_reader.h"

#include <gtest/gtest.h>

namespace pprof_reader {
namespace {

// Field `number` with length-delimited content, and with a number below 128.
std::string Message(int number, std::string_view content) {
  std::string field;
  field.push_back(static_cast<char>(number << 3 | 2));
  field.push_back(static_cast<char>(content.size()));
  return field.append(content);
}

std::string Number(int number, int value) {
  return {static_cast<char>(number << 3), static_cast<char>(value)};
}

// Strings 0..9.
std::string Strings() {
  std::string table;
  for (const char* text :
       {"", "samples", "count", "cpu", "nanoseconds", "f", "f.cc", "span_id", "0123", "/bin/x"}) {
    table += Message(6, text);
  }
  return table;
}

std::string Types() {
  return Message(1, Number(1, 1) + Number(2, 2)) + Message(1, Number(1, 3) + Number(2, 4));
}

std::string Tables() {
  return Types() + Message(3, Number(1, 1) + Number(5, 9)) +
         Message(4, Number(1, 1) + Number(2, 1) + Number(3, 77) +
                        Message(4, Number(1, 1) + Number(2, 12))) +
         Message(5, Number(1, 1) + Number(2, 5) + Number(4, 6)) + Strings();
}

std::string ErrorOf(std::string_view bytes) {
  std::string error;
  return Read(bytes, &error).has_value() ? "none" : error;
}

TEST(PprofReader, ReadsNumbersPackedAndOneByOne) {
  const std::string label = Message(3, Number(1, 7) + Number(2, 8));
  const std::string packed = Message(1, "\x01\x01") + Message(2, "\x03\x1E") + label;
  const std::string single = Number(1, 1) + Number(1, 1) + Number(2, 3) + Number(2, 30) + label;
  for (const std::string& sample : {packed, single}) {
    std::string error;
    const std::optional<Profile> profile = Read(Message(2, sample) + Tables(), &error);
    ASSERT_TRUE(profile.has_value()) << error;
    ASSERT_EQ(profile->samples.size(), 1u);
    const Sample& read = profile->samples[0];
    EXPECT_EQ(read.count, 3);
    EXPECT_EQ(read.cpu_ns, 30);
    EXPECT_EQ(read.Label("span_id"), "0123");
    EXPECT_EQ(read.Label("trace_id"), "");
    ASSERT_EQ(read.frames.size(), 2u);
    EXPECT_EQ(read.frames[0].function, "f");
    EXPECT_EQ(read.frames[0].file, "f.cc");
    EXPECT_EQ(read.frames[0].line, 12);
    EXPECT_EQ(read.frames[0].module, "/bin/x");
    EXPECT_EQ(read.frames[0].address, 77u);
    EXPECT_TRUE(read.HasFunction("f"));
    EXPECT_FALSE(read.HasFunction("g"));
  }
}

TEST(PprofReader, SaysWhyItRefuses) {
  const std::string values = Number(2, 1) + Number(2, 10);
  EXPECT_EQ(ErrorOf(Message(2, values) + Tables()), "none");
  EXPECT_EQ(ErrorOf(""), "not a CPU profile");
  EXPECT_EQ(ErrorOf("hello"), "not a protobuf message");
  EXPECT_EQ(ErrorOf(Message(1, Number(1, 3) + Number(2, 4)) + Strings()), "not a CPU profile");
  EXPECT_EQ(ErrorOf(Message(2, Number(2, 1)) + Tables()), "a sample without two values");
  EXPECT_EQ(ErrorOf(Message(2, values + Number(1, 9)) + Tables()), "a sample without its location");
  EXPECT_EQ(ErrorOf(Message(2, values + Message(3, Number(1, 7) + Number(2, 99))) + Tables()),
            "label outside the string table");
  const std::string label = Message(3, Number(1, 7) + Number(2, 8));
  EXPECT_EQ(ErrorOf(Message(2, values + label + label) + Tables()), "two values for one label");
  EXPECT_EQ(ErrorOf(Tables() + Message(4, Number(1, 2) + Message(4, Number(1, 9)))),
            "line without its function");
  EXPECT_EQ(ErrorOf(Tables() + Message(4, Number(1, 2) + Number(2, 9))),
            "location without its mapping");
  EXPECT_EQ(ErrorOf(Tables() + Message(5, Number(1, 2) + Number(2, 99))),
            "function name outside the string table");
  EXPECT_EQ(ErrorOf("\x1F\x8B\x08 and then nothing"), "broken gzip data");
}

TEST(PprofReader, NamesTheFileThatItCannotOpen) {
  std::string error;
  EXPECT_FALSE(ReadFile("/nonexistent/cpu.pb.gz", &error).has_value());
  EXPECT_EQ(error, "cannot open /nonexistent/cpu.pb.gz");
}

}  // namespace
}  // namespace pprof_reader
