// Whatever method and target: an answer with a status of HTTP, whose headers hold no line end.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "src/pprof_http/address.h"
#include "src/pprof_http/fake_source_test.h"
#include "src/pprof_http/routes.h"
#include "src/pprof_http/target.h"

namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t space = text.find(' ');
  const std::string_view method = text.substr(0, space);
  const std::string_view target =
      space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
  pprof_http::FakeSource source;
  const auto response = pprof_http::Route({method, target, [] { return true; }}, source);
  Require(response.status >= 200 && response.status < 600);
  for (const auto& [name, value] : response.headers) {
    Require(name.find_first_of("\r\n") == std::string::npos);
    Require(value.find_first_of("\r\n") == std::string::npos);
  }
  Require(source.open == 0);
  const auto value = pprof_http::QueryValue(target, method);
  Require(!value || value->size() <= target.size());
  const auto address = pprof_http::ParseAddress(text);
  Require(!address || (address->port >= 0 && address->port <= 65535 && !address->host.empty()));
  pprof_http::IsLoopback(pprof_http::HostOfHeader(text));
  return 0;
}
