#include "src/pprof_http/spans_routes.h"

#include <pprof/span_watch.h>

#include <algorithm>
#include <string>
#include <utility>

#include "src/pprof_http/page_asset.h"
#include "src/pprof_http/target.h"

namespace pprof_http {
namespace {

using pprof::SpanProfileFormat;
using pprof::Status;

constexpr std::string_view kRoot = "/debug/spans";

Response Answer(int status, std::string_view type, std::string body) {
  return {status,
          {{"Content-Type", std::string(type)},
           {"X-Content-Type-Options", "nosniff"},
           {"Cache-Control", "no-store"},
           {"Cross-Origin-Resource-Policy", "same-origin"},
           {"Referrer-Policy", "no-referrer"},
           {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"}},
          std::move(body)};
}

Response Sentence(int status, std::string_view sentence) {
  return Answer(status, "text/plain; charset=utf-8", std::string(sentence) + "\n");
}

Response Failed(const Status& status) {
  return Sentence(status.code == Status::Code::kInvalidArgument ? 404 : 503, status.message);
}

Response Page() {
  Response response = Answer(200, "text/html; charset=utf-8",
                             std::string(view::kPageHead) + std::string(view::kPageTail));
  response.headers.back().second = std::string(view::kPagePolicy) + "; frame-ancestors 'none'";
  return response;
}

// "gzip" as a word of its own, not refused by q=0.
bool AllowsGzip(std::string_view accept) {
  while (!accept.empty()) {
    const std::size_t comma = std::min(accept.find(','), accept.size());
    std::string_view entry = accept.substr(0, comma);
    accept.remove_prefix(std::min(comma + 1, accept.size()));
    entry.remove_prefix(std::min(entry.find_first_not_of(' '), entry.size()));
    const std::string_view coding = entry.substr(0, entry.find_first_of("; "));
    if (coding != "gzip") continue;
    const std::size_t quality = entry.find("q=0");
    return quality == std::string_view::npos ||
           entry.find_first_not_of("0.", quality + 2) != std::string_view::npos;
  }
  return false;
}

Response Data(const Request& request, const pprof::SpanWatch& watch) {
  const bool gzip = AllowsGzip(request.accept_encoding);
  pprof::Result<std::string> document = watch.Document(gzip);
  if (!document.ok()) return Failed(document.status());
  Response response = Answer(200, "application/json", std::move(*document));
  response.headers.emplace_back("Vary", "Accept-Encoding");
  if (gzip) response.headers.emplace_back("Content-Encoding", "gzip");
  return response;
}

Response OneSpan(const Request& request, const std::string& id, const pprof::SpanWatch& watch) {
  const std::string format = QueryValue(request.target, "format").value_or("text");
  const bool pb = format == "pb";
  if (!pb && format != "text" && format != "folded") {
    return Sentence(400, "format must be text, folded or pb");
  }
  pprof::Result<std::string> body =
      watch.SpanProfile(id, pb                 ? SpanProfileFormat::kPprof
                            : format == "text" ? SpanProfileFormat::kText
                                               : SpanProfileFormat::kFolded);
  if (!body.ok()) return Failed(body.status());
  if (!pb) return Answer(200, "text/plain; charset=utf-8", std::move(*body));
  Response response = Answer(200, "application/octet-stream", std::move(*body));
  response.headers.emplace_back("Content-Disposition",
                                "attachment; filename=\"span-" + id + ".pb.gz\"");
  return response;
}

}  // namespace

bool IsSpansPath(std::string_view path) {
  return path == kRoot || path.substr(0, kRoot.size() + 1) == "/debug/spans/";
}

Response RouteSpans(const Request& request) {
  if (request.method != "GET") {
    Response refused = Sentence(405, "only GET is answered");
    refused.headers.emplace_back("Allow", "GET");
    return refused;
  }
  const pprof::Result<pprof::SpanWatch> watch = pprof::RunningSpanWatch();
  if (!watch.ok()) {
    return Sentence(
        404,
        "this program does not watch its spans: start it with OTEL_PROFILING_SPANS=true, or set "
        "pprof_http::ServerOptions::spans");
  }
  std::string_view name = PathOf(request.target).substr(kRoot.size());
  if (!name.empty()) name.remove_prefix(1);
  if (name.empty()) return Page();
  if (name == "data") return Data(request, *watch);
  return OneSpan(request, std::string(name), *watch);
}

}  // namespace pprof_http
