// CPU profiles over HTTP, under the paths of Go's net/http/pprof:
//
//   auto server = pprof_http::Serve();          // http://127.0.0.1:6060/debug/pprof/
//   go tool pprof 'http://127.0.0.1:6060/debug/pprof/profile?seconds=30'
//
// A program with an HTTP server of its own mounts Handle() under /debug/pprof/ there instead. What
// is served tells how a program is built and what it does: see SECURITY.md before it is opened to
// more than this machine.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pprof/export.h>
#include <pprof/status.h>

namespace pprof_http {

// What Handle needs to know of an HTTP request. Views live for the call.
struct Request {
  std::string_view method;  // "GET"
  std::string_view target;  // path and query: "/debug/pprof/profile?seconds=5"
  // True when the client went away or the server stops; polled some 20 times a second by the thread
  // that called Handle. Empty: never.
  std::function<bool()> cancelled;
  std::string_view accept_encoding = {};  // the header of that name; gzip is used if it allows it
};

struct Response {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // for HEAD as well: send its size only
};

// Answers one request:
//
//   /debug/pprof/                    an index page
//   /debug/pprof/profile?seconds=N   a CPU profile (gzip pprof) of the next N seconds, 1..600,
//                                    default 30; any number at once, each with its own window
//   /debug/pprof/cmdline             the program's arguments, separated by NUL
//   /debug/pprof/stats               pprof::Stats as JSON
//
// and, while the program watches its spans (pprof::WatchSpans, or ServerOptions::spans), for GET:
//
//   /debug/spans                     a page of operations, traces and the flame graphs of spans
//   /debug/spans/data                what it shows, as JSON (docs/spans-document.md)
//   /debug/spans/<span_id>?format=F  the samples of one span: text (default), folded or pb
//
// The latter tell what requests did: mount them only where nobody else gets at them. Other methods
// than GET and HEAD: 405. More than 16 profiles at once: 503. What Go has and C++ cannot have
// (heap, goroutine, ...): 404 with the reason. Any thread; blocks the caller for seconds=N or until
// cancelled. Not async-signal-safe.
PPROF_EXPORT Response Handle(const Request& request) noexcept;

struct ServerOptions {
  // host:port. Port 0: any free one. An IPv6 address stands in brackets. ":6060" listens on all
  // interfaces.
  std::string address = "127.0.0.1:6060";
  // Watches spans as long as the server lives, and serves them under /debug/spans; the environment
  // variable OTEL_PROFILING_SPANS=true does the same. Only on a loopback address: elsewhere a
  // warning is logged, and those routes answer 403.
  bool spans = false;
};

// A small HTTP server for the routes above, with threads of its own. Move-only; members from any
// thread, one at a time. Destruction stops it and ends waiting requests, within a second; in a fork
// child, where its threads do not exist, it only lets go.
class PPROF_EXPORT Server {
 public:
  class Impl;

  explicit Server(std::unique_ptr<Impl> impl) noexcept;  // used by Serve
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;  // stops the server that it replaces
  ~Server();

  // host:port with the real port.
  const std::string& address() const noexcept;

 private:
  std::unique_ptr<Impl> impl_;
};

// Starts a server. Errors: kInvalidArgument (no host:port), kUnavailable (port in use, address not
// of this machine, no thread).
//
// Bound to a loopback address it answers only requests whose Host is a loopback name, so that a web
// page whose name was pointed at 127.0.0.1 cannot read profiles.
PPROF_EXPORT pprof::Result<Server> Serve(ServerOptions options = {}) noexcept;

}  // namespace pprof_http
