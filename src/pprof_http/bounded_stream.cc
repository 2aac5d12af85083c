#include "src/pprof_http/bounded_stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace pprof_http {
namespace {

constexpr std::size_t kMaxHeadBytes = std::size_t{16} * 1024;
constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr auto kReadTime = std::chrono::seconds(5);    // for a whole head
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

void DropRanges(std::string* head) {
  constexpr std::string_view kName = "range";
  const auto is_range = [&](std::size_t line) {
    for (std::size_t i = 0; i < kName.size(); ++i) {
      if (line + i >= head->size() || ((*head)[line + i] | 0x20) != kName[i]) return false;
    }
    const std::size_t after = head->find_first_not_of(" \t", line + kName.size());
    return after != std::string::npos && (*head)[after] == ':';
  };
  std::size_t end = 0;  // of the line before
  while ((end = head->find("\r\n", end)) != std::string::npos) {
    const std::size_t line = end + 2;
    if (!is_range(line)) {
      end = line;
      continue;
    }
    const std::size_t next = head->find("\r\n", line);
    head->erase(end, next == std::string::npos ? next : next - end);
  }
}

BoundedStream::BoundedStream(socket_t socket)
    : socket_(socket), read_until_(Clock::now() + kReadTime) {}

bool BoundedStream::WaitFor(short events, Clock::time_point until) const {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd poll_for = {socket_, events, 0};
    const int ready = poll(&poll_for, 1, static_cast<int>(std::max<long>(left, 0)));
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

BoundedStream::Head BoundedStream::ReadHead() {
  std::size_t searched = 0;
  while (head_.size() < kMaxHeadBytes) {
    if (!WaitFor(POLLIN, read_until_)) return Head::kTooSlow;
    char buffer[2048];
    const std::size_t room = std::min(sizeof buffer, kMaxHeadBytes - head_.size());
    const ssize_t got = recv(socket_, buffer, room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got <= 0) return Head::kGone;
    head_.append(buffer, static_cast<std::size_t>(got));
    const std::size_t end = head_.find(kHeadEnd, searched);
    if (end != std::string::npos) {
      head_.resize(end + kHeadEnd.size());
      DropRanges(&head_);
      return Head::kRead;
    }
    searched = head_.size() - std::min(head_.size(), kHeadEnd.size() - 1);
  }
  return Head::kTooLarge;
}

ssize_t BoundedStream::read(char* to, std::size_t size) {
  size = std::min(size, head_.size() - given_);
  if (size == 0) return -1;
  head_.copy(to, size, given_);
  given_ += size;
  return static_cast<ssize_t>(size);
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
  pollfd poll_for = {socket, POLLRDHUP, 0};
  return poll(&poll_for, 1, 0) > 0;
}

void CloseGently(socket_t socket) {
  // Bytes that nobody read would turn the end of the connection into a reset.
  shutdown(socket, SHUT_WR);
  char unread[4096];
  for (int i = 0; i < 16 && recv(socket, unread, sizeof unread, MSG_DONTWAIT) > 0; ++i) {
  }
  shutdown(socket, SHUT_RDWR);
  close(socket);
}

}  // namespace pprof_http
