// The ride-share service; with the argument `pricing`, the slow service that it asks for prices;
// with `check`, whether one of them answers at LISTEN_ADDRESS (exit code 0), for health checks.
// Prints one line with its addresses when it is ready; ends on SIGTERM or SIGINT.

#include <pprof_http/pprof_http.h>
#include <signal.h>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <thread>

#include "examples/rideshare/http_server.h"
#include "examples/rideshare/scenarios.h"
#include "examples/rideshare/settings.h"
#include "examples/rideshare/telemetry.h"

namespace {

// Where to look at the profile of this process.
constexpr const char* kLocalPage = "/debug/spans";

// Blocks the signals that end the program in this thread and all that it starts, so that one thread
// can wait for them.
sigset_t BlockEndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

int Serve(const std::string& service, rideshare::HttpServer& server, const char* port,
          const char* pprof_port) {
  using rideshare::Setting;
  pprof_http::ServerOptions options;
  options.address = Setting("PPROF_ADDRESS", pprof_port);
  options.spans =
      true;  // the page is for a look from this machine; the library shows it to no other
  auto pages = pprof_http::Serve(options);
  if (!pages.ok()) {
    std::cerr << pages.status().message << '\n';
    return 1;
  }
  const std::string address = server.Bind(Setting("LISTEN_ADDRESS", port));
  if (address.empty()) {
    std::cerr << service << ": cannot listen on " << Setting("LISTEN_ADDRESS", port) << '\n';
    return 1;
  }
  std::cout << service << " http://" << address << " profiles http://" << pages->address()
            << kLocalPage << std::endl;
  server.Run();
  return 0;
}

int Check() {
  const auto at = rideshare::ParseAddress(rideshare::Setting("LISTEN_ADDRESS", "127.0.0.1:8080"));
  const auto answer = httplib::Client(at.host, at.port).Get("/healthz");
  return answer && answer->status == 200 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "check") == 0) return Check();
  const sigset_t signals = BlockEndSignals();
  const bool pricing = argc > 1 && std::strcmp(argv[1], "pricing") == 0;
  const std::string service =
      rideshare::Setting("OTEL_SERVICE_NAME", pricing ? "rideshare-pricing" : "rideshare");
  setenv("OTEL_SERVICE_NAME", service.c_str(), 0);  // by which the page of spans calls it
  const rideshare::Telemetry telemetry(service, 1.0);

  rideshare::HttpServer server;
  server.GetUntraced("/healthz", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("ok\n", "text/plain");
  });
  std::thread ending([&] {
    int signal = 0;
    sigwait(&signals, &signal);
    server.Stop();
  });
  int result;
  if (pricing) {
    rideshare::RegisterPricing(server);
    result = Serve(service, server, "127.0.0.1:8081", "127.0.0.1:6061");
  } else {
    rideshare::Scenarios scenarios(rideshare::Setting("PRICING_ADDRESS", "127.0.0.1:8081"));
    scenarios.Register(server);
    result = Serve(service, server, "127.0.0.1:8080", "127.0.0.1:6060");
  }
  kill(getpid(), SIGTERM);  // if it was not the signal that ended the server
  ending.join();
  return result;
}
