// Whatever the address: a checked one gives a URL of http or https with the push path and without
// credentials, which is parsed to the same again; no message and no address for log lines holds
// what could end a line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "src/pyroscope/endpoint.h"
#include "src/pyroscope/text.h"

namespace {

void Require(bool truth) {
  if (!truth) std::abort();
}

bool IsOneLine(const std::string& text) {
  return pyroscope::internal::Printable(text, text.size() + 3) == text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using pyroscope::internal::ParseEndpoint;
  const std::string address(reinterpret_cast<const char*>(data), size);
  const auto endpoint = ParseEndpoint(address);
  if (!endpoint.ok()) {
    Require(!endpoint.status().message.empty() && IsOneLine(endpoint.status().message));
    return 0;
  }
  const auto& parsed = *endpoint;
  Require(parsed.url.rfind(parsed.https ? "https://" : "http://", 0) == 0);
  Require(parsed.url.find("/push.v1.PusherService/Push") != std::string::npos);
  Require(!parsed.host.empty());
  Require(IsOneLine(parsed.url) && IsOneLine(parsed.address));
  const auto again = ParseEndpoint(parsed.url);
  Require(again.ok() && (*again).url == parsed.url && (*again).user.empty() &&
          (*again).password.empty());
  return 0;
}
