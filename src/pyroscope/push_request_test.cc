#include "src/pyroscope/push_request.h"

#include <gtest/gtest.h>

#include "src/pyroscope/push_test_fakes.h"

namespace pyroscope::internal {
namespace {

TEST(PushRequest, HoldsOneSeriesWithOneProfile) {
  const std::string profile("\x1f\x8b\0binary", 9);
  const DecodedPush push =
      DecodePush(EncodePushRequest({{"__name__", "process_cpu"}, {"a", ""}}, profile, "the-id"));
  EXPECT_EQ(push.series, 1);
  EXPECT_EQ(push.samples, 1);
  EXPECT_EQ(push.labels, (Tags{{"__name__", "process_cpu"}, {"a", ""}}));
  EXPECT_EQ(push.profile, profile);
  EXPECT_EQ(push.id, "the-id");
}

TEST(PushRequest, BytesOfTheFormat) {  // worked out by hand from api/push/v1/push.proto
  EXPECT_EQ(EncodePushRequest({{"n", "v"}}, "P", "I"),
            "\x0a\x10\x0a\x06\x0a\x01n\x12\x01v\x12\x06\x0a\x01P\x12\x01I");
}

TEST(PushRequest, Uuid) {
  const unsigned char zero[16] = {};
  EXPECT_EQ(FormatUuid(zero), "00000000-0000-4000-8000-000000000000");
  unsigned char ones[16];
  for (unsigned char& byte : ones) byte = 0xFF;
  EXPECT_EQ(FormatUuid(ones), "ffffffff-ffff-4fff-bfff-ffffffffffff");
}

}  // namespace
}  // namespace pyroscope::internal
