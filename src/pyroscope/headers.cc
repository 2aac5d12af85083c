#include "src/pyroscope/headers.h"

#include <algorithm>
#include <cstdint>
#include <map>

#include "src/pyroscope/text.h"

namespace pyroscope::internal {
namespace {

using pprof::Status;

constexpr std::size_t kQuoteBytes = 80;

Status Wrong(std::string message) { return {Status::Code::kInvalidArgument, std::move(message)}; }

std::string Quoted(std::string_view text) { return '"' + Printable(text, kQuoteBytes) + '"'; }

// tchar of RFC 9110.
bool IsTokenCharacter(char c) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         kOthers.find(c) != std::string_view::npos;
}

// A line break would begin another header.
bool IsValueCharacter(char c) { return c == '\t' || (c != 0x7F && (c < 0 || c >= 0x20)); }

bool IsValue(std::string_view text) {
  return std::all_of(text.begin(), text.end(), IsValueCharacter);
}

std::string UserPassword(const Credentials& credentials) {
  return credentials.user + ':' + credentials.password;
}

}  // namespace

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

std::string Base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8U | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out.push_back(j <= count ? kDigits[group >> (18 - 6 * j) & 63U] : '=');
    }
  }
  return out;
}

Status CheckHeaders(const StringMap& headers) {
  std::map<std::string, std::string> seen;
  for (const auto& [name, value] : headers) {
    if (name.empty() || !std::all_of(name.begin(), name.end(), IsTokenCharacter)) {
      return Wrong("http_headers: " + Quoted(name) +
                   " is no header name: letters, digits and '-' are allowed");
    }
    if (!IsValue(value)) {
      return Wrong("http_headers: the value of " + Quoted(name) +
                   " holds a line break or another control character");
    }
    const std::string lower = LowerCase(name);
    for (const char* const framing :
         {"content-length", "content-type", "content-encoding", "transfer-encoding", "connection",
          "expect", "te", "trailer", "upgrade"}) {
      if (lower != framing) continue;
      return Wrong("http_headers: " + Quoted(name) + " belongs to the transfer and cannot be set");
    }
    if (!seen.emplace(lower, name).second) {
      return Wrong("http_headers: " + Quoted(name) + " is given twice");
    }
  }
  return {};
}

Status CheckCredentials(const Credentials& credentials) {
  if (!IsValue(credentials.user) || credentials.user.find(':') != std::string::npos) {
    return Wrong("basic_auth_user holds a colon or a control character");
  }
  if (!IsValue(credentials.password)) {
    return Wrong("basic_auth_password holds a control character (a line break at its end?)");
  }
  if (!IsValue(credentials.tenant_id)) {
    return Wrong("tenant_id holds a control character (a line break at its end?)");
  }
  return {};
}

Headers MakeHeaders(const Credentials& credentials, const StringMap& custom) {
  Headers own = {{"Content-Type", "application/proto"},
                 {"Connect-Protocol-Version", "1"},
                 {"User-Agent", "otel-profiling-cpp/" OTELPROF_VERSION}};
  if (!credentials.user.empty() || !credentials.password.empty()) {
    own.emplace_back("Authorization", "Basic " + Base64(UserPassword(credentials)));
  }
  if (!credentials.tenant_id.empty()) own.emplace_back("X-Scope-OrgID", credentials.tenant_id);

  Headers headers;
  const auto replaced = [&](const std::string& name) {
    return std::any_of(custom.begin(), custom.end(), [&](const auto& header) {
      return LowerCase(header.first) == LowerCase(name);
    });
  };
  std::copy_if(own.begin(), own.end(), std::back_inserter(headers),
               [&](const auto& header) { return !replaced(header.first); });
  headers.insert(headers.end(), custom.begin(), custom.end());
  return headers;
}

std::vector<std::string> SecretsOf(const Credentials& credentials, const StringMap& custom) {
  std::vector<std::string> secrets;
  if (!credentials.password.empty() || !credentials.user.empty()) {
    secrets.push_back(credentials.password);
    secrets.push_back(Base64(UserPassword(credentials)));
  }
  for (const auto& header : custom) {
    secrets.push_back(header.second);
    // "Bearer token": the token alone, too.
    const std::size_t space = header.second.rfind(' ');
    if (space != std::string::npos) secrets.push_back(header.second.substr(space + 1));
  }
  return secrets;
}

}  // namespace pyroscope::internal
