#include "examples/rideshare/http_client.h"

#include <httplib.h>
#include <opentelemetry/context/propagation/global_propagator.h>
#include <opentelemetry/semconv/error_attributes.h>
#include <opentelemetry/semconv/http_attributes.h>
#include <opentelemetry/semconv/server_attributes.h>
#include <opentelemetry/semconv/url_attributes.h>
#include <opentelemetry/trace/scope.h>

#include "examples/rideshare/settings.h"
#include "examples/rideshare/telemetry.h"

namespace rideshare {
namespace {

namespace context = opentelemetry::context;
namespace nostd = opentelemetry::nostd;
namespace semconv = opentelemetry::semconv;
namespace trace = opentelemetry::trace;

class RequestHeaders final : public context::propagation::TextMapCarrier {
 public:
  nostd::string_view Get(nostd::string_view) const noexcept override { return {}; }
  void Set(nostd::string_view key, nostd::string_view value) noexcept override {
    headers.emplace(std::string(key), std::string(value));
  }

  httplib::Headers headers;
};

}  // namespace

Answer TracedGet(const std::string& address, const std::string& target) {
  const HostPort to = ParseAddress(address);
  trace::StartSpanOptions options;
  options.kind = trace::SpanKind::kClient;
  auto span = GetTracer()->StartSpan(
      "GET",
      {{semconv::http::kHttpRequestMethod, "GET"},
       {semconv::server::kServerAddress, to.host},
       {semconv::server::kServerPort, to.port},
       {semconv::url::kUrlFull, "http://" + to.host + ":" + std::to_string(to.port) + target}},
      options);
  const trace::Scope scope(span);
  RequestHeaders carrier;
  context::propagation::GlobalTextMapPropagator::GetGlobalPropagator()->Inject(
      carrier, context::RuntimeContext::GetCurrent());
  httplib::Client client(to.host, to.port);
  client.set_connection_timeout(2);
  client.set_read_timeout(30);
  const auto result = client.Get(target.c_str(), carrier.headers);
  if (!result) {
    span->SetStatus(trace::StatusCode::kError);
    span->SetAttribute(semconv::error::kErrorType, httplib::to_string(result.error()));
    return {};
  }
  span->SetAttribute(semconv::http::kHttpResponseStatusCode, result->status);
  if (result->status >= 400) {
    span->SetStatus(trace::StatusCode::kError);
    span->SetAttribute(semconv::error::kErrorType, std::to_string(result->status));
  }
  return {result->status, result->body};
}

}  // namespace rideshare
