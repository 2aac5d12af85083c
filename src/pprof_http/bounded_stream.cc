#include "src/pprof_http/bounded_stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

namespace pprof_http {
namespace {

constexpr std::size_t kMaxRequestBytes = 16 * 1024;
constexpr auto kReadTime = std::chrono::seconds(5);    // for a whole request
constexpr auto kWriteTime = std::chrono::seconds(30);  // for a whole answer

void Describe(const sockaddr_storage& from, std::string* ip, int* port) {
  char text[INET6_ADDRSTRLEN] = "";
  if (from.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    *port = ntohs(v4.sin_port);
  } else if (from.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    *port = ntohs(v6.sin6_port);
  }
  *ip = text;
}

}  // namespace

BoundedStream::BoundedStream(socket_t socket)
    : socket_(socket), read_until_(Clock::now() + kReadTime), bytes_left_(kMaxRequestBytes) {}

bool BoundedStream::WaitFor(short events, Clock::time_point until) const {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd poll_for = {socket_, events, 0};
    const int ready = poll(&poll_for, 1, static_cast<int>(std::max<long>(left, 0)));
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

bool BoundedStream::is_readable() const { return WaitFor(POLLIN, read_until_); }

ssize_t BoundedStream::read(char* to, std::size_t size) {
  size = std::min(size, bytes_left_);
  if (size == 0 || !is_readable()) return -1;
  const ssize_t got = recv(socket_, to, size, MSG_DONTWAIT);
  if (got > 0) bytes_left_ -= static_cast<std::size_t>(got);
  return got;
}

ssize_t BoundedStream::write(const char* from, std::size_t size) {
  if (write_until_ == Clock::time_point{}) write_until_ = Clock::now() + kWriteTime;
  if (!WaitFor(POLLOUT, write_until_)) return -1;
  return send(socket_, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void BoundedStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage peer = {};
  socklen_t size = sizeof peer;
  if (getpeername(socket_, reinterpret_cast<sockaddr*>(&peer), &size) == 0) {
    Describe(peer, &ip, &port);
  }
}

void BoundedStream::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage own = {};
  socklen_t size = sizeof own;
  if (getsockname(socket_, reinterpret_cast<sockaddr*>(&own), &size) == 0) {
    Describe(own, &ip, &port);
  }
}

bool PeerGone(socket_t socket) {
  char byte = 0;
  const ssize_t got = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

}  // namespace pprof_http
