// /debug/spans: the page, its data, and the samples of one span. Answers only while spans are
// watched.
#pragma once

#include <pprof_http/pprof_http.h>

#include <string_view>

namespace pprof_http {

bool IsSpansPath(std::string_view path);

// REQUIRES: IsSpansPath of the request's path. May throw std::bad_alloc.
Response RouteSpans(const Request& request);

}  // namespace pprof_http
