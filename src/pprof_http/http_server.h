// cpp-httplib's server with our bounds: one request a connection, read and written in bounded time,
// no thread waits for a client that is gone.
#pragma once

#include <httplib.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <set>

#include "src/pprof_http/bounded_stream.h"

namespace pprof_http {

class HttpServer final : public httplib::Server {
 public:
  // The handler gets the request and the question whether its client is gone or the server stops.
  using Answer = std::function<void(const httplib::Request&, const std::function<bool()>& cancelled,
                                    httplib::Response&)>;
  explicit HttpServer(Answer answer);

  // cpp-httplib lets five clients wait to be accepted; a sixth is held up for a second. REQUIRES:
  // bound.
  void WidenBacklog() noexcept;
  // Ends all connections. Any thread.
  void Interrupt() noexcept;

 private:
  bool process_and_close_socket(socket_t socket) override;
  void Serve(socket_t socket);
  bool Register(socket_t socket);
  void Unregister(socket_t socket);

  // cpp-httplib wants the addresses as arguments since 0.17.
  template <class Self>
  static auto Process(Self& self, BoundedStream& stream, int)
      -> decltype(self.process_request(stream, true, std::declval<bool&>(), nullptr)) {
    bool closed = false;
    return self.process_request(stream, true, closed, nullptr);
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
                                nullptr);
  }

  static thread_local socket_t current_;
  Answer answer_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::set<socket_t> open_;
};

}  // namespace pprof_http
