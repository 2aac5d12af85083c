#include "src/pyroscope/endpoint.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "src/pyroscope/text.h"

namespace pyroscope::internal {
namespace {

using pprof::Result;
using pprof::Status;

constexpr std::string_view kPushPath = "/push.v1.PusherService/Push";
constexpr std::size_t kQuoteBytes = 200;

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

// A part of the URL; empty if it has none.
std::string Part(CURLU* url, CURLUPart part, unsigned int flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string copy(text);
  curl_free(text);
  return copy;
}

void KeepServerAndPath(CURLU* url) {
  for (const CURLUPart part : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS,
                               CURLUPART_QUERY, CURLUPART_FRAGMENT}) {
    curl_url_set(url, part, nullptr, 0);
  }
}

// For messages about an address that may be no URL: without what stands between "//" and the last
// '@', and without a query, since both may hold a secret.
std::string Harmless(std::string_view address) {
  const std::size_t slashes = address.find("//");
  const std::size_t start = slashes == std::string_view::npos ? 0 : slashes + 2;
  const std::size_t at = address.rfind('@');
  std::string text(address);
  text.resize(std::min(text.find('?', at == std::string_view::npos ? 0 : at), text.size()));
  if (at != std::string_view::npos && at >= start) text.erase(start, at + 1 - start);
  return Printable(text, kQuoteBytes);
}

Status Wrong(std::string_view address, const std::string& why) {
  return {Status::Code::kInvalidArgument, "server_address \"" + Harmless(address) + "\" " + why};
}

// curl decodes "%xx" in host names and accepts what comes out. Names beyond ASCII are left to it.
bool IsHostName(const std::string& host) {
  return !host.empty() && IsUtf8(host) && Printable(host, host.size() + 3) == host &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return c < 0 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') || std::string_view("-._:[]").find(c) != std::string::npos;
         });
}

// curl looks for IPv4 numbers in a host name before it decodes "%xx": what it connects to is then
// another host than the one that it named.
bool IsReadAsWritten(const std::string& url) {
  const Url again(curl_url());
  return again != nullptr &&
         curl_url_set(again.get(), CURLUPART_URL, url.c_str(), 0) == CURLUE_OK &&
         Part(again.get(), CURLUPART_URL) == url;
}

std::string WithoutSlashes(std::string text) {
  while (!text.empty() && text.back() == '/') text.pop_back();
  return text;
}

std::string PushPath(const std::string& base) {
  std::string path = WithoutSlashes(base);
  if (path.size() >= kPushPath.size() &&
      path.compare(path.size() - kPushPath.size(), kPushPath.size(), kPushPath) == 0) {
    return path;
  }
  return path.append(kPushPath);
}

}  // namespace

Result<Endpoint> ParseEndpoint(std::string_view server_address) {
  const std::string address(Trim(server_address));
  // curl lets some of these through in host names.
  if (Printable(address, address.size() + 3) != address) {
    return Wrong(address, "holds a control character or is not UTF-8");
  }
  if (address.find("://") == std::string::npos) {
    return Wrong(address, "has no scheme: write http://host:4040 or https://host");
  }
  const Url url(curl_url());
  if (url == nullptr) return Status{Status::Code::kUnavailable, "no memory for a URL"};
  const CURLUcode parsed =
      curl_url_set(url.get(), CURLUPART_URL, address.c_str(), CURLU_NON_SUPPORT_SCHEME);
  if (parsed != CURLUE_OK) {
    return Wrong(address, std::string("is no URL (") + curl_url_strerror(parsed) +
                              "): write http://host:4040 or https://host");
  }
  Endpoint endpoint;
  const std::string scheme = Part(url.get(), CURLUPART_SCHEME);
  endpoint.https = scheme == "https";
  if (!endpoint.https && scheme != "http") {
    return Wrong(address, "has the scheme " + scheme + ": only http and https are known");
  }
  endpoint.host = Part(url.get(), CURLUPART_HOST);
  if (!IsHostName(endpoint.host)) return Wrong(address, "has a host name that cannot be one");
  endpoint.user = Part(url.get(), CURLUPART_USER, CURLU_URLDECODE);
  endpoint.password = Part(url.get(), CURLUPART_PASSWORD, CURLU_URLDECODE);
  const std::string path = Part(url.get(), CURLUPART_PATH);
  const std::string query = Part(url.get(), CURLUPART_QUERY);
  KeepServerAndPath(url.get());
  endpoint.address = WithoutSlashes(Part(url.get(), CURLUPART_URL));
  curl_url_set(url.get(), CURLUPART_PATH, PushPath(path).c_str(), 0);
  if (!query.empty()) curl_url_set(url.get(), CURLUPART_QUERY, query.c_str(), 0);
  endpoint.url = Part(url.get(), CURLUPART_URL);
  if (!IsReadAsWritten(endpoint.url)) {
    return Wrong(address, "can be read in two ways: write the host name without %");
  }
  return endpoint;
}

Proxy FindProxy(const Endpoint& endpoint, const Environment& environment) {
  // HTTP_PROXY in capitals is not read: a CGI program gets it from a request's "Proxy:" header.
  std::vector<const char*> names = {"http_proxy", "all_proxy", "ALL_PROXY"};
  if (endpoint.https) names = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
  Proxy proxy;
  for (const char* name : names) {
    proxy.url = environment(name);
    if (!proxy.url.empty()) break;
  }
  proxy.no_proxy = environment("no_proxy");
  if (proxy.no_proxy.empty()) proxy.no_proxy = environment("NO_PROXY");
  return proxy;
}

}  // namespace pyroscope::internal
