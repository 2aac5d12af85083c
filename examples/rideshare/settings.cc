#include "examples/rideshare/settings.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>

namespace rideshare {
namespace {

[[noreturn]] void Complain(const std::string& what, const std::string& value) {
  std::cerr << "rideshare: " << what << ": '" << value << "'\n";
  std::exit(2);
}

}  // namespace

std::string Setting(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? otherwise : value;
}

double NumberSetting(const char* name, double otherwise) {
  const std::string text = Setting(name, "");
  if (text.empty()) return otherwise;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (*end != '\0') Complain(std::string(name) + " must be a number", text);
  return value;
}

HostPort ParseAddress(const std::string& text) {
  std::string rest = text;
  const std::string scheme = "http://";
  if (rest.compare(0, scheme.size(), scheme) == 0) rest = rest.substr(scheme.size());
  while (!rest.empty() && rest.back() == '/') rest.pop_back();
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string::npos) Complain("an address must be host:port", text);
  char* end = nullptr;
  const long port = std::strtol(rest.c_str() + colon + 1, &end, 10);
  if (*end != '\0' || end == rest.c_str() + colon + 1 || port < 0 || port > 65535) {
    Complain("an address must be host:port", text);
  }
  return {colon == 0 ? "0.0.0.0" : rest.substr(0, colon), static_cast<int>(port)};
}

std::vector<std::string> SplitAtCommas(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  while (start <= text.size()) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    if (comma > start) parts.push_back(text.substr(start, comma - start));
    start = comma + 1;
  }
  return parts;
}

}  // namespace rideshare
