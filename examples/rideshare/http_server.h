// A traced HTTP server: each request is a SERVER span by OpenTelemetry's HTTP conventions, child of
// the caller's traceparent, with the caller's baggage.
#pragma once

#include <httplib.h>

#include <functional>
#include <string>

namespace rideshare {

class HttpServer {
 public:
  using Handler = std::function<void(const httplib::Request&, httplib::Response&)>;

  // Registers GET `route`. The span is named "GET <route>"; samples also carry the labels `vehicle`
  // and `customer_tier`. The answer's header traceresponse names the span.
  void Get(const std::string& route, Handler handler);
  // Without a span: for health checks.
  void GetUntraced(const std::string& route, Handler handler);

  // Binds host:port ("host:0": any free port) and returns the address with the real port, or an
  // empty string.
  std::string Bind(const std::string& address);
  // Serves until Stop().
  void Run();
  void Stop();

 private:
  httplib::Server server_;
};

}  // namespace rideshare
