#include "src/pyroscope/push_request.h"

#include <protozero/pbf_builder.hpp>

namespace pyroscope::internal {
namespace {

enum class Request : protozero::pbf_tag_type { kSeries = 1 };
enum class Series : protozero::pbf_tag_type { kLabels = 1, kSamples = 2 };
enum class Label : protozero::pbf_tag_type { kName = 1, kValue = 2 };
enum class Sample : protozero::pbf_tag_type { kRawProfile = 1, kId = 2 };

}  // namespace

std::string EncodePushRequest(const SeriesLabels& labels, std::string_view profile,
                              std::string_view id) {
  std::string bytes;
  std::size_t size = profile.size() + id.size() + 64;
  for (const auto& [name, value] : labels) size += name.size() + value.size() + 16;
  bytes.reserve(size);
  protozero::pbf_builder<Request> request(bytes);
  protozero::pbf_builder<Series> series(request, Request::kSeries);
  for (const auto& [name, value] : labels) {
    protozero::pbf_builder<Label> label(series, Series::kLabels);
    label.add_string(Label::kName, name);
    label.add_string(Label::kValue, value);
  }
  protozero::pbf_builder<Sample> sample(series, Series::kSamples);
  sample.add_bytes(Sample::kRawProfile, profile.data(), profile.size());
  sample.add_string(Sample::kId, id.data(), id.size());
  sample.commit();
  series.commit();
  return bytes;
}

std::string FormatUuid(const unsigned char (&random)[16]) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text.push_back('-');
    unsigned int byte = random[i];
    if (i == 6) byte = (byte & 0x0FU) | 0x40U;  // version 4
    if (i == 8) byte = (byte & 0x3FU) | 0x80U;  // variant of RFC 4122
    text.push_back(kDigits[byte >> 4U]);
    text.push_back(kDigits[byte & 0xFU]);
  }
  return text;
}

}  // namespace pyroscope::internal
