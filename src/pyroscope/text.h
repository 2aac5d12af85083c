// Text from outside, made fit for a log line: the server's words, names from the environment.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pyroscope::internal {

bool IsUtf8(std::string_view text);

// One line of at most `max_bytes` bytes of valid UTF-8: line breaks and tabs become spaces, control
// characters, what reverses the reading direction and broken UTF-8 become '?'. "..." marks a cut.
std::string Printable(std::string_view text, std::size_t max_bytes);

// Without blanks at both ends.
std::string_view Trim(std::string_view text);

// Takes secrets out of text: whoever is sent a password may send it back.
class Redactor {
 public:
  // Texts of fewer than four bytes are not looked for: they would be found everywhere.
  void Add(std::string secret);
  // `text` without the secrets, then Printable.
  std::string Clean(std::string_view text, std::size_t max_bytes) const;

 private:
  std::vector<std::string> secrets_;  // longest first
};

}  // namespace pyroscope::internal
