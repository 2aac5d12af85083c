// A server on a free port and clients on bare sockets.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <pprof_http/pprof_http.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace pprof_http {

using Clock = std::chrono::steady_clock;

inline Server Start() {
  auto server = Serve({"127.0.0.1:0"});
  EXPECT_TRUE(server.ok()) << server.status().message;
  return std::move(*server);
}

// A client on a bare socket.
class Client {
 public:
  explicit Client(const Server& server) : Client(server, socket(Family(server), SOCK_STREAM, 0)) {}
  // Takes over `socket`, made before for the server's family.
  Client(const Server& server, int socket) : socket_(socket) {
    const std::string& address = server.address();
    const auto port =
        htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    sockaddr_in to4 = {};
    to4.sin_family = AF_INET;
    to4.sin_port = port;
    to4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 to6 = {};
    to6.sin6_family = AF_INET6;
    to6.sin6_port = port;
    to6.sin6_addr = in6addr_loopback;
    connected_ = Family(server) == AF_INET6
                     ? connect(socket_, reinterpret_cast<sockaddr*>(&to6), sizeof to6) == 0
                     : connect(socket_, reinterpret_cast<sockaddr*>(&to4), sizeof to4) == 0;
  }
  ~Client() { Close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  bool Send(std::string_view text) const {
    return send(socket_, text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  }
  // Everything until the server closes, or what came within the time.
  std::string Read(std::chrono::seconds time = std::chrono::seconds(20)) const {
    std::string text;
    const auto end = Clock::now() + time;
    char buffer[4096];
    while (Clock::now() < end) {
      pollfd poll_for = {socket_, POLLIN, 0};
      if (poll(&poll_for, 1, 100) <= 0) continue;
      const ssize_t got = recv(socket_, buffer, sizeof buffer, 0);
      if (got <= 0) break;
      text.append(buffer, static_cast<std::size_t>(got));
    }
    return text;
  }
  void Close() {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
  }

 private:
  static int Family(const Server& server) {
    return server.address().front() == '[' ? AF_INET6 : AF_INET;
  }

  int socket_ = -1;
  bool connected_ = false;
};

inline std::string Fetch(const Server& server, const std::string& request) {
  const Client client(server);
  client.Send(request);
  return client.Read();
}

inline std::string GetText(std::string_view path, std::string_view host = "localhost") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
}

inline int StatusOf(const std::string& response) {
  return response.size() < 12 ? 0 : std::stoi(response.substr(9, 3));
}

inline std::string BodyOf(const std::string& response) {
  const std::size_t end = response.find("\r\n\r\n");
  return end == std::string::npos ? "" : response.substr(end + 4);
}

}  // namespace pprof_http
