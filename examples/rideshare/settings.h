// What the service and the load generator are told by environment variables; README.md lists them.
#pragma once

#include <string>
#include <vector>

namespace rideshare {

struct HostPort {
  std::string host;
  int port = 0;
};

// The variable, or `otherwise` where it is not set or empty.
std::string Setting(const char* name, const std::string& otherwise);
// A number of a variable; the program ends with a message if it is none.
double NumberSetting(const char* name, double otherwise);
// "http://host:port", "host:port" or ":port"; the program ends with a message if it is none.
HostPort ParseAddress(const std::string& text);
std::vector<std::string> SplitAtCommas(const std::string& text);

}  // namespace rideshare
