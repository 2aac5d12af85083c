#include "src/pyroscope/environment.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "src/pyroscope/text.h"

namespace pyroscope::internal {
namespace {

using pprof::Result;
using pprof::Status;

constexpr std::size_t kQuoteBytes = 80;  // of wrong input in a message

Status Wrong(std::string message) { return {Status::Code::kInvalidArgument, std::move(message)}; }

std::string Quoted(std::string_view text) { return '"' + Printable(text, kQuoteBytes) + '"'; }

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

// Calls `use` with each trimmed part between commas that is not empty, until it returns false.
template <class Use>
void ForEachPart(std::string_view text, Use use) {
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view part = Trim(text.substr(0, comma));
    if (!part.empty() && !use(part)) return;
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = HexDigit(text[i + 1]);
    const int low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return decoded;
}

struct Unit {
  std::string_view name;
  std::int64_t milliseconds;
};
constexpr Unit kUnits[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};

// One number and its unit, taken off the front of `text`.
std::optional<std::int64_t> TakeDuration(std::string_view* text) {
  constexpr std::int64_t kMaxNumber = 1000000000;  // beyond any use, far from overflow
  std::size_t digits = 0;
  std::int64_t number = 0;
  for (; digits < text->size() && (*text)[digits] >= '0' && (*text)[digits] <= '9'; ++digits) {
    number = std::min(number * 10 + ((*text)[digits] - '0'), kMaxNumber);
  }
  if (digits == 0) return std::nullopt;
  text->remove_prefix(digits);
  const std::size_t length = std::min(text->find_first_of("0123456789"), text->size());
  for (const Unit& unit : kUnits) {
    if (text->substr(0, length) != unit.name) continue;
    text->remove_prefix(length);
    return number * unit.milliseconds;
  }
  return std::nullopt;
}

}  // namespace

Environment ProcessEnvironment() {
  return [](const char* name) -> std::string {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
}

Result<StringMap> ParseLabels(std::string_view text) {
  StringMap labels;
  Status status;
  ForEachPart(text, [&](std::string_view part) {
    const std::size_t middle = part.find_first_of("=:");
    if (middle == std::string_view::npos) {
      status = Wrong(Quoted(part) + " is no label: write name=value,name=value");
      return false;
    }
    labels[std::string(Trim(part.substr(0, middle)))] = Trim(part.substr(middle + 1));
    return true;
  });
  if (!status.ok()) return status;
  return labels;
}

Result<StringMap> ParseJsonObject(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  // The text may hold a token, so that the message must not show it.
  constexpr const char* kRemedy = R"(is no JSON object of strings: write {"Name": "value"})";
  if (!json.is_object()) return Wrong(kRemedy);
  StringMap entries;
  for (const auto& [name, value] : json.items()) {
    if (!value.is_string()) return Wrong(kRemedy);
    entries[name] = value.get_ref<const std::string&>();
  }
  return entries;
}

Result<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  std::string_view rest = Trim(text);
  std::int64_t total = 0;
  bool any = false;
  while (!rest.empty()) {
    const std::optional<std::int64_t> part = TakeDuration(&rest);
    if (!part) {
      any = false;
      break;
    }
    total = std::min(total, std::int64_t{1} << 60) + *part;
    any = true;
  }
  if (!any) return Wrong(Quoted(text) + " is no duration: write 15s, 1m30s or 500ms");
  return std::chrono::milliseconds(total);
}

Result<bool> ParseBool(std::string_view text) {
  const std::string value = Lower(Trim(text));
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  return Wrong(Quoted(text) + " is neither true nor false");
}

Result<pprof::LogLevel> ParseLogLevel(std::string_view text) {
  const std::string value = Lower(Trim(text));
  if (value == "debug") return pprof::LogLevel::kDebug;
  if (value == "info") return pprof::LogLevel::kInfo;
  if (value == "warn" || value == "warning") return pprof::LogLevel::kWarning;
  if (value == "error") return pprof::LogLevel::kError;
  return Wrong(Quoted(text) + " is no log level: write debug, info, warn or error");
}

Result<StringMap> ParseResourceAttributes(std::string_view text) {
  StringMap attributes;
  Status status;
  ForEachPart(text, [&](std::string_view part) {
    const std::size_t middle = part.find('=');
    const std::optional<std::string> key = PercentDecode(Trim(part.substr(0, middle)));
    const std::optional<std::string> value = middle == std::string_view::npos
                                                 ? std::nullopt
                                                 : PercentDecode(Trim(part.substr(middle + 1)));
    if (!key || key->empty() || !value) {
      status = Wrong(Quoted(part) + " is no key=value in percent-encoding");
      return false;
    }
    attributes[*key] = *value;
    return true;
  });
  if (!status.ok()) return status;
  return attributes;
}

}  // namespace pyroscope::internal
