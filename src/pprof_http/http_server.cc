#include "src/pprof_http/http_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <string_view>
#include <utility>

#include "src/pprof_http/worker_pool.h"

namespace pprof_http {
namespace {

constexpr std::string_view kBusy =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
    "Connection: close\r\n\r\n";

}  // namespace

thread_local socket_t HttpServer::current_ = INVALID_SOCKET;

HttpServer::HttpServer(Answer answer) : answer_(std::move(answer)) {
  new_task_queue = [] { return new WorkerPool(); };
  // Not cpp-httplib's default SO_REUSEPORT: a port that is in use must be an error.
  set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  set_payload_max_length(0);
  set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
    const socket_t socket = current_;
    answer_(
        request, [this, socket] { return stopping_.load() || PeerGone(socket); }, response);
    return HandlerResponse::Handled;
  });
}

void HttpServer::WidenBacklog() noexcept { ::listen(svr_sock_, SOMAXCONN); }

bool HttpServer::Register(socket_t socket) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return !stopping_.load() && open_.insert(socket).second;
}

void HttpServer::Unregister(socket_t socket) {
  const std::lock_guard<std::mutex> lock(mutex_);
  open_.erase(socket);
}

void HttpServer::Interrupt() noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  stopping_.store(true);
  for (const socket_t socket : open_) shutdown(socket, SHUT_RDWR);
}

bool HttpServer::process_and_close_socket(socket_t socket) {
  if (WorkerPool::Overloaded()) {
    send(socket, kBusy.data(), kBusy.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  } else if (Register(socket)) {
    Serve(socket);
    Unregister(socket);
  }
  shutdown(socket, SHUT_RDWR);
  close(socket);
  return true;
}

void HttpServer::Serve(socket_t socket) {
  try {
    BoundedStream stream(socket);
    current_ = socket;
    Process(*this, stream, 0);
  } catch (...) {  // no memory: the connection closes without an answer
  }
  current_ = INVALID_SOCKET;
}

}  // namespace pprof_http
