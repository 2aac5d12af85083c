// cpp-httplib's reading of requests and writing of answers, with our bounds around them: one
// request a connection, read and written in bounded time, no thread waits for a client that is
// gone.
#pragma once

#include <httplib.h>
#include <signal.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <set>

#include "src/pprof_http/address.h"
#include "src/pprof_http/bounded_stream.h"

namespace pprof_http {

// cpp-httplib's constructor sets the process to ignore SIGPIPE; what the program does about that
// signal is its own. A base, so that it is constructed before.
class SigpipeAction {
 protected:
  SigpipeAction() { sigaction(SIGPIPE, nullptr, &before_); }
  void Restore() const { sigaction(SIGPIPE, &before_, nullptr); }

 private:
  struct sigaction before_ = {};
};

class HttpServer final : private SigpipeAction, private httplib::Server {
 public:
  // The handler gets the request and the question whether its client is gone or the server stops.
  using Answer = std::function<void(const httplib::Request&, const std::function<bool()>& cancelled,
                                    httplib::Response&)>;
  explicit HttpServer(Answer answer);
  ~HttpServer() override;

  // The request's Accept-Encoding. cpp-httplib does not get to see it: it would compress, in an
  // encoding of its choice, what the answer has compressed already.
  static std::string EncodingsOf(const httplib::Request& request) {
    return request.get_header_value(kEncodings);
  }

  // Port 0 becomes the real one. False: the port is in use, or the address not of this machine.
  bool Listen(Address* address);
  // Serves until Interrupt. REQUIRES: Listen.
  void Run();
  // Ends Run and all connections. Any thread.
  void Interrupt() noexcept;

 private:
  static constexpr const char* kEncodings = "otelprof-accept-encoding";
  static void HideEncodings(httplib::Request& request);
  // Answers one connection and closes it.
  void Serve(socket_t socket);
  void Respond(socket_t socket);
  bool Register(socket_t socket);
  void Unregister(socket_t socket);

  // cpp-httplib wants the addresses as arguments since 0.17.
  template <class Self>
  static auto Process(Self& self, BoundedStream& stream, int)
      -> decltype(self.process_request(stream, true, std::declval<bool&>(), HideEncodings)) {
    bool closed = false;
    return self.process_request(stream, true, closed, HideEncodings);
  }
  template <class Self>
  static bool Process(Self& self, BoundedStream& stream, long) {
    std::string remote;
    std::string local;
    int remote_port = 0;
    int local_port = 0;
    stream.get_remote_ip_and_port(remote, remote_port);
    stream.get_local_ip_and_port(local, local_port);
    bool closed = false;
    return self.process_request(stream, remote, remote_port, local, local_port, true, closed,
                                HideEncodings);
  }

  static thread_local socket_t current_;
  Answer answer_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::set<socket_t> open_;
};

}  // namespace pprof_http
