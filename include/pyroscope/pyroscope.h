// Continuous profiling into Grafana Pyroscope: cuts the process's CPU profile into windows and
// pushes each one to a server. The counterpart of pyroscope-go.
//
//   pyroscope::Config config;
//   config.application_name = "my-service";            // equals the resource's service.name
//   config.server_address = "http://localhost:4040";
//   auto profiler = pyroscope::Start(config);
//   if (!profiler.ok()) std::cerr << profiler.status().message << '\n';
//   ...                                                // keep `profiler` while the service runs
//
// Two threads of its own do all the work, with all signals blocked; nothing runs on the
// application's threads. A profile that cannot be delivered now waits in a queue of bounded size
// and is sent later; what is lost in the end is counted (stats.h) and logged (pprof/log.h).
//
// Ways to end. Destruction of the Profiler, and exit() while one is alive, stop it like Stop().
// After fork() the child has no profiler: it is silent, the members of the inherited object give
// kStopped at once, and it may Start() its own. In a SIGTERM handler only set a flag or write to a
// pipe; call Stop() from an ordinary thread.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <pprof/export.h>
#include <pprof/status.h>

namespace pyroscope {

// What is empty here is read from the environment: PYROSCOPE_APPLICATION_NAME and so on, then what
// OpenTelemetry's own variables say. docs/environment.md lists them all. Of `tags` and
// `http_headers` each entry is looked up by itself.
struct Config {
  // Must equal the service.name of the traces, or Grafana finds no profile for a span. Else
  // PYROSCOPE_APPLICATION_NAME, OTEL_SERVICE_NAME, or service.name in OTEL_RESOURCE_ATTRIBUTES.
  std::string application_name;
  // http(s)://[user:password@]host[:port][/path]. Empty everywhere: Start() is ok but does nothing.
  std::string server_address;
  // Labels of every profile. Names: letters, digits, '_' and '.', not beginning with "__". At most
  // 20. An empty value takes a label away that would be set otherwise.
  std::map<std::string, std::string> tags;
  // Sent with every request; they replace headers of the same name.
  std::map<std::string, std::string> http_headers;
  std::string basic_auth_user;
  std::string basic_auth_password;
  std::string tenant_id;  // X-Scope-OrgID
  std::string ca_file;    // PEM; certificates to trust instead of the system's
  // Length of a window, 100 ms to 10 min. Default 15 s. Grafana looks 30 s around a span, so keep
  // it below that.
  std::optional<std::chrono::milliseconds> upload_interval;
  int sample_rate = 100;  // Hz, 1 to 1000
};

namespace internal {
class Session;
}

// A running profiler, or an inert one (running() tells). Move-only. Members may be called from any
// thread, several at a time; not async-signal-safe. Nothing throws.
class PPROF_EXPORT Profiler {
 public:
  explicit Profiler(std::shared_ptr<internal::Session> session) noexcept;  // used by Start
  Profiler(Profiler&&) noexcept;
  Profiler& operator=(Profiler&&) noexcept;  // stops the one that it replaces
  ~Profiler();                               // = Stop(); a loss is logged

  // Ends the last window and sends all that is queued, for at most `timeout`. Again: ok, at once.
  // kTimeout: the message says how much could not be sent; it is lost.
  // kIo: the server refused profiles during this call; the message says why.
  // kStopped: this process is a fork child of the one that started it.
  pprof::Status Stop(std::chrono::milliseconds timeout = std::chrono::seconds(5)) noexcept;

  // Ends the running window and starts the next one, then waits until that window and all before it
  // are delivered or given up; 0: does not wait. kTimeout: some are still queued, nothing is lost.
  // kStopped: it was stopped, or as for Stop.
  pprof::Status Flush(std::chrono::milliseconds timeout = std::chrono::seconds(0)) noexcept;

  // Replaces Config::tags from the next window on. kInvalidArgument: nothing is changed.
  pprof::Status SetTags(std::map<std::string, std::string> tags) noexcept;

  // False: stopped, switched off, without a server address, moved from, or in a fork child.
  bool running() const noexcept;

 private:
  std::shared_ptr<internal::Session> session_;  // null: inert
};

// Starts profiling. An unreachable server is no error: profiles wait until it can be reached.
// Errors: kInvalidArgument (the message names the field or variable and the remedy), kUnavailable
// (a profiler is running in this process already, or timers, threads or memory were refused). Ok
// but not running(): no server address anywhere, or PYROSCOPE_PROFILING_ENABLED=false; then there
// is no timer, no signal handler and no thread.
// Any thread. Not async-signal-safe.
PPROF_EXPORT pprof::Result<Profiler> Start(Config config) noexcept;

}  // namespace pyroscope
