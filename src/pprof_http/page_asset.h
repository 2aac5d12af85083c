// The page at /debug/spans: the viewer where it is built, else a few lines that say where the data
// is.
#pragma once

#if __has_include(<view_page.h>)
#include <view_page.h>
#else

#include <string_view>

namespace pprof_http::view {

inline constexpr std::string_view kPageHead = R"page(<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Spans</title></head>
<body>
<h1>Spans</h1>
<p><a href="/debug/spans/data">data</a>: recent spans, samples and counters of this process, as JSON</p>
<script type="application/json" id="data">)page";
inline constexpr std::string_view kPageTail = R"page(</script>
</body>
</html>
)page";
inline constexpr std::string_view kPagePolicy =
    "default-src 'none'; base-uri 'none'; form-action 'none'";

}  // namespace pprof_http::view

#endif
