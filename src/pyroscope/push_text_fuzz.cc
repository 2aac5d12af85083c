// Whatever a server says: the log line is one line of valid UTF-8 within its size, without the
// secret. The input is the secret, a NUL, and the text.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "src/pyroscope/text.h"

namespace {

void Require(bool truth) {
  if (!truth) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pyroscope::internal;
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::string secret = input.substr(0, input.find('\0'));
  const std::string text = input.substr(std::min(secret.size() + 1, input.size()));
  for (const std::size_t most : {std::size_t{0}, std::size_t{2}, std::size_t{40}, size + 3}) {
    const std::string line = Printable(text, most);
    Require(line.size() <= most && IsUtf8(line));
    Require(Printable(line, most) == line);
    Require(std::none_of(line.begin(), line.end(),
                         [](char c) { return (c >= 0 && c < ' ') || c == 0x7F; }));
  }
  Redactor redactor;
  redactor.Add(secret);
  const std::string clean = redactor.Clean(text, 4 * size + 3);
  // Only letters and digits stay what they are; others may arise from what was replaced.
  const bool plain = std::all_of(secret.begin(), secret.end(),
                                 [](char c) { return c > 0 && std::isalnum(c) != 0; });
  if (plain && secret.size() >= 4) Require(clean.find(secret) == std::string::npos);
  return 0;
}
