#include "src/pprof_http/http_server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>

#include "src/pprof_http/worker_pool.h"

namespace pprof_http {
namespace {

constexpr std::string_view kBusy =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
    "Connection: close\r\n\r\n";
constexpr std::string_view kTooSlow =
    "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
constexpr std::string_view kTooLarge =
    "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\n"
    "Connection: close\r\n\r\n";

void SendAtOnce(socket_t socket, std::string_view answer) {
  send(socket, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

// The listening sockets of this process. A fork child closes its copies: kept open there, they
// would hold the port and let clients wait for an answer that never comes after the parent ended.
class ListeningSockets {
 public:
  static void Add(socket_t socket) {
    static const int registered = pthread_atfork(nullptr, nullptr, &CloseInChild);
    static_cast<void>(registered);
    Swap(kNone, socket);
  }
  static void Remove(socket_t socket) { Swap(socket, kNone); }

 private:
  static constexpr int kNone = 0;  // a socket with stdin's number is not remembered

  static void Swap(int from, int to) {
    for (std::atomic<int>& place : places_) {
      int expected = from;
      if (place.compare_exchange_strong(expected, to)) return;
    }
  }
  static void CloseInChild() {
    for (std::atomic<int>& place : places_) {
      const int socket = place.exchange(kNone);
      if (socket != kNone) close(socket);
    }
  }

  static std::array<std::atomic<int>, 64> places_;  // more servers than that are not remembered
};
std::array<std::atomic<int>, 64> ListeningSockets::places_{};

}  // namespace

thread_local socket_t HttpServer::current_ = INVALID_SOCKET;

HttpServer::HttpServer(Answer answer) : answer_(std::move(answer)) {
  Restore();
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

HttpServer::~HttpServer() {
  if (svr_sock_ == INVALID_SOCKET) return;
  ListeningSockets::Remove(svr_sock_);
  close(svr_sock_);
  svr_sock_ = INVALID_SOCKET;
}

bool HttpServer::Listen(Address* address) {
  if (address->port == 0) {
    address->port = bind_to_any_port(address->host);
    if (address->port < 0) return false;
  } else if (!bind_to_port(address->host, address->port)) {
    return false;
  }
  ListeningSockets::Add(svr_sock_);
  // cpp-httplib lets five clients wait to be accepted; a sixth is held up for a second.
  ::listen(svr_sock_, SOMAXCONN);
  return true;
}

void HttpServer::Run() {
  // Not cpp-httplib's own loop, which ends the server when the system is out of files or memory.
  WorkerPool pool;
  while (!stopping_.load()) {
    const socket_t socket = accept4(svr_sock_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) {
      // Nothing that lasts but a lack of files or memory, which passes.
      if (!stopping_.load()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      continue;
    }
    bool taken = false;
    try {
      taken = pool.Add([this, socket] { Serve(socket); });
    } catch (...) {  // no memory: as if all were busy
    }
    if (!taken) {
      SendAtOnce(socket, kBusy);
      CloseGently(socket);
    }
  }
}

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
  if (svr_sock_ != INVALID_SOCKET) shutdown(svr_sock_, SHUT_RDWR);  // wakes accept
  for (const socket_t socket : open_) shutdown(socket, SHUT_RDWR);
}

void HttpServer::HideEncodings(httplib::Request& request) {
  std::string encodings = request.get_header_value("Accept-Encoding");
  request.headers.erase("Accept-Encoding");
  request.headers.erase(kEncodings);  // a client may send that as well
  request.headers.emplace(kEncodings, std::move(encodings));
}

void HttpServer::Serve(socket_t socket) {
  bool registered = false;
  try {
    registered = Register(socket);
    if (registered) Respond(socket);
  } catch (...) {  // no memory: the connection closes without an answer
  }
  current_ = INVALID_SOCKET;
  if (registered) Unregister(socket);
  CloseGently(socket);
}

void HttpServer::Respond(socket_t socket) {
  BoundedStream stream(socket);
  switch (stream.ReadHead()) {
    case BoundedStream::Head::kTooSlow:
      return SendAtOnce(socket, kTooSlow);
    case BoundedStream::Head::kTooLarge:
      return SendAtOnce(socket, kTooLarge);
    case BoundedStream::Head::kGone:
      return;
    case BoundedStream::Head::kRead:
      break;
  }
  current_ = socket;
  Process(*this, stream, 0);
}

}  // namespace pprof_http
