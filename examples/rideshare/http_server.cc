#include "examples/rideshare/http_server.h"

#include <opentelemetry/baggage/baggage_context.h>
#include <opentelemetry/context/propagation/global_propagator.h>
#include <opentelemetry/semconv/client_attributes.h>
#include <opentelemetry/semconv/error_attributes.h>
#include <opentelemetry/semconv/http_attributes.h>
#include <opentelemetry/semconv/network_attributes.h>
#include <opentelemetry/semconv/server_attributes.h>
#include <opentelemetry/semconv/url_attributes.h>
#include <opentelemetry/semconv/user_agent_attributes.h>
#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/scope.h>
#include <pprof/labels.h>

#include <exception>
#include <utility>

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
  explicit RequestHeaders(const httplib::Request& request) : request_(request) {}
  nostd::string_view Get(nostd::string_view key) const noexcept override {
    const auto found = request_.headers.find(std::string(key));
    return found == request_.headers.end() ? nostd::string_view() : found->second;
  }
  void Set(nostd::string_view, nostd::string_view) noexcept override {}

 private:
  const httplib::Request& request_;
};

nostd::shared_ptr<trace::Span> StartServerSpan(const httplib::Request& request,
                                               const std::string& route,
                                               const context::Context& caller) {
  trace::StartSpanOptions options;
  options.kind = trace::SpanKind::kServer;
  options.parent = caller;
  // Route and not path in the name: a name is an operation, and each one is a series of profiles.
  auto span = GetTracer()->StartSpan("GET " + route,
                                     {{semconv::http::kHttpRequestMethod, request.method},
                                      {semconv::http::kHttpRoute, route},
                                      {semconv::url::kUrlScheme, "http"},
                                      {semconv::url::kUrlPath, request.path},
                                      {semconv::network::kNetworkProtocolVersion, "1.1"},
                                      {semconv::client::kClientAddress, request.remote_addr}},
                                     options);
  const std::string host = request.get_header_value("Host");
  const std::size_t colon = host.rfind(':');
  if (!host.empty()) span->SetAttribute(semconv::server::kServerAddress, host.substr(0, colon));
  if (colon != std::string::npos) {
    span->SetAttribute(semconv::server::kServerPort, std::atoi(host.c_str() + colon + 1));
  }
  const std::string agent = request.get_header_value("User-Agent");
  if (!agent.empty()) span->SetAttribute(semconv::user_agent::kUserAgentOriginal, agent);
  return span;
}

// Only values that are known become labels: each is a series of profiles, and baggage is what the
// caller likes to send.
std::string OneOf(std::initializer_list<const char*> known, const std::string& value) {
  for (const char* one : known) {
    if (value == one) return value;
  }
  return "other";
}

pprof::LabelSet LabelsOf(const httplib::Request& request, const std::string& route,
                         const context::Context& caller) {
  std::string tier;
  opentelemetry::baggage::GetBaggage(caller)->GetValue("customer.tier", tier);
  const std::string vehicle =
      request.has_param("vehicle") ? request.get_param_value("vehicle") : route.substr(1);
  return pprof::Labels({{"vehicle", OneOf({"bike", "scooter", "car"}, vehicle)},
                        {"customer_tier", OneOf({"free", "plus", "business", "staff"}, tier)}});
}

// W3C Trace Context, level 2.
std::string TraceResponse(const trace::SpanContext& span) {
  char trace_id[32], span_id[16];
  span.trace_id().ToLowerBase16(trace_id);
  span.span_id().ToLowerBase16(span_id);
  return "00-" + std::string(trace_id, 32) + "-" + std::string(span_id, 16) +
         (span.IsSampled() ? "-01" : "-00");
}

void Serve(const std::string& route, const HttpServer::Handler& handler,
           const httplib::Request& request, httplib::Response& response) {
  context::Context empty;
  const context::Context caller =
      context::propagation::GlobalTextMapPropagator::GetGlobalPropagator()->Extract(
          RequestHeaders(request), empty);
  auto span = StartServerSpan(request, route, caller);
  context::Context of_request = caller;
  const auto token = context::RuntimeContext::Attach(trace::SetSpan(of_request, span));
  const pprof::LabelScope labels(LabelsOf(request, route, caller));
  response.set_header("traceresponse", TraceResponse(span->GetContext()));
  try {
    response.status = 200;
    handler(request, response);
  } catch (const std::exception& error) {
    response.status = 500;
    response.set_content(std::string(error.what()) + "\n", "text/plain");
  }
  span->SetAttribute(semconv::http::kHttpResponseStatusCode, response.status);
  if (response.status >= 500) {
    span->SetStatus(trace::StatusCode::kError);
    span->SetAttribute(semconv::error::kErrorType, std::to_string(response.status));
  }
  span->End();
}

}  // namespace

void HttpServer::Get(const std::string& route, Handler handler) {
  server_.Get(route, [route, handler = std::move(handler)](const httplib::Request& request,
                                                           httplib::Response& response) {
    Serve(route, handler, request, response);
  });
}

void HttpServer::GetUntraced(const std::string& route, Handler handler) {
  server_.Get(route, std::move(handler));
}

std::string HttpServer::Bind(const std::string& address) {
  const HostPort wanted = ParseAddress(address);
  int port = wanted.port;
  if (port == 0) {
    port = server_.bind_to_any_port(wanted.host);
    if (port < 0) return "";
  } else if (!server_.bind_to_port(wanted.host, port)) {
    return "";
  }
  return wanted.host + ":" + std::to_string(port);
}

void HttpServer::Run() { server_.listen_after_bind(); }

void HttpServer::Stop() { server_.stop(); }

}  // namespace rideshare
