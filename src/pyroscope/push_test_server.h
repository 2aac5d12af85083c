// A small HTTP server on loopback for tests, which can also behave as badly as a server can.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace pyroscope::internal {

struct TestRequest {
  std::string line;                            // "POST /path HTTP/1.1"
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// What a handler answers on. Every call stops when the server is being destroyed.
class TestConnection {
 public:
  TestConnection(int fd, const std::atomic<bool>& stop) : fd_(fd), stop_(stop) {}

  // False: the client has gone.
  bool Send(std::string_view bytes) {
    while (!bytes.empty() && !stop_) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return !stop_;
  }
  bool Answer(int status, std::string_view type, std::string_view body,
              const std::string& more_headers = "") {
    return Send("HTTP/1.1 " + std::to_string(status) + " Test\r\nContent-Type: " +
                std::string(type) + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
                more_headers + "\r\n" + std::string(body));
  }
  bool Accept() { return Answer(200, "application/proto", ""); }
  // The next packet of the client is answered with a TCP reset.
  void Reset() {
    const linger hard{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    closed_ = true;
  }
  void Close() { closed_ = true; }
  // Keeps the connection and says nothing, until the client goes or the server ends.
  void Hang() {
    char byte = 0;
    while (!stop_ && !closed_) {
      pollfd wait{fd_, POLLIN, 0};
      if (poll(&wait, 1, 20) > 0 && recv(fd_, &byte, 1, MSG_PEEK) <= 0) closed_ = true;
    }
  }
  bool closed() const { return closed_; }
  bool stopping() const { return stop_; }

 private:
  friend class TestServer;
  // False: the connection ended.
  bool Fill() {
    char bytes[65536];
    while (!stop_ && !closed_) {
      pollfd wait{fd_, POLLIN, 0};
      if (poll(&wait, 1, 20) <= 0) continue;
      const ssize_t got = recv(fd_, bytes, sizeof bytes, 0);
      if (got <= 0) return false;
      buffer_.append(bytes, static_cast<std::size_t>(got));
      return true;
    }
    return false;
  }
  bool Read(TestRequest* request);

  const int fd_;
  const std::atomic<bool>& stop_;
  std::string buffer_;
  bool closed_ = false;
};

inline bool TestConnection::Read(TestRequest* request) {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill()) return false;
  }
  *request = {};
  std::string_view head = std::string_view(buffer_).substr(0, end + 2);
  request->line = head.substr(0, head.find("\r\n"));
  for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
    const std::string_view line = head.substr(at, head.find("\r\n", at) - at);
    at += line.size() + 2;
    std::string name(line.substr(0, line.find(':')));
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    std::string_view value = line.substr(std::min(line.find(':') + 1, line.size()));
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    request->headers[name] = value;
  }
  const std::size_t length = std::strtoul(request->headers["content-length"].c_str(), nullptr, 10);
  buffer_.erase(0, end + 4);
  while (buffer_.size() < length) {
    if (!Fill()) return false;
  }
  request->body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return true;
}

class TestServer {
 public:
  using Handler = std::function<void(const TestRequest&, TestConnection&)>;

  // `port` 0: any free one.
  explicit TestServer(Handler handler, std::uint16_t port = 0) : handler_(std::move(handler)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        listen(listener_, 16) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { AcceptLoop(); });
  }
  ~TestServer() {
    stop_ = true;
    acceptor_.join();
    for (std::thread& thread : connections_) thread.join();
    close(listener_);
  }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  std::vector<TestRequest> requests() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return requests_;
  }
  bool WaitForRequests(std::size_t count) const {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60),
                             [&] { return requests_.size() >= count; });
  }
  // Connections that were opened so far.
  int connections() const { return accepted_; }

 private:
  void AcceptLoop() {
    while (!stop_) {
      pollfd wait{listener_, POLLIN, 0};
      if (poll(&wait, 1, 20) <= 0) continue;
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      ++accepted_;
      connections_.emplace_back([this, fd] { Serve(fd); });
    }
  }
  void Serve(int fd) {
    TestConnection connection(fd, stop_);
    TestRequest request;
    while (!connection.closed() && connection.Read(&request)) {
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        requests_.push_back(request);
      }
      changed_.notify_all();
      handler_(request, connection);
    }
    close(fd);
  }

  const Handler handler_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<int> accepted_{0};
  std::thread acceptor_;
  std::vector<std::thread> connections_;  // of the acceptor, until it ends
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<TestRequest> requests_;
};

}  // namespace pyroscope::internal
