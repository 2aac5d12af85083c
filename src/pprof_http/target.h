// The path and query of a request.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pprof_http {

// "/debug/pprof/profile?seconds=5" -> "/debug/pprof/profile".
std::string_view PathOf(std::string_view target);

// The first value of a query parameter, percent-decoded ('+' is a space); nullopt: not there. A
// broken escape stays as it is.
std::optional<std::string> QueryValue(std::string_view target, std::string_view name);

}  // namespace pprof_http
