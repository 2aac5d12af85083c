// The server against clients that misbehave. Profiles are real, but hardly any CPU time is used.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <pprof/log.h>
#include <pprof_http/pprof_http.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "src/pprof_http/worker_pool.h"

namespace pprof_http {
namespace {

using Clock = std::chrono::steady_clock;
using Code = pprof::Status::Code;

Server Start() {
  auto server = Serve({"127.0.0.1:0"});
  EXPECT_TRUE(server.ok()) << server.status().message;
  return std::move(*server);
}

// A client on a bare socket.
class Client {
 public:
  explicit Client(const Server& server) {
    const std::string& address = server.address();
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socket_ = socket(AF_INET, SOCK_STREAM, 0);
    connected_ = connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
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
  int socket_ = -1;
  bool connected_ = false;
};

std::string Fetch(const Server& server, const std::string& request) {
  const Client client(server);
  client.Send(request);
  return client.Read();
}

std::string GetText(std::string_view path, std::string_view host = "localhost") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
}

int StatusOf(const std::string& response) {
  return response.size() < 12 ? 0 : std::stoi(response.substr(9, 3));
}

std::string BodyOf(const std::string& response) {
  const std::size_t end = response.find("\r\n\r\n");
  return end == std::string::npos ? "" : response.substr(end + 4);
}

TEST(Serve, AnswersOverTheNetworkAsHandleDoes) {
  const Server server = Start();
  const std::string index = Fetch(server, GetText("/debug/pprof/"));
  EXPECT_EQ(StatusOf(index), 200);
  EXPECT_EQ(BodyOf(index), Handle({"GET", "/debug/pprof/", {}}).body);
  EXPECT_EQ(StatusOf(Fetch(server, GetText("/debug/pprof/heap"))), 404);
  EXPECT_EQ(StatusOf(Fetch(server,
                           "POST /debug/pprof/ HTTP/1.1\r\nHost: localhost\r\n"
                           "Content-Length: 3\r\n\r\nabc")),
            405);
  const std::string head = Fetch(server, "HEAD /debug/pprof/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(StatusOf(head), 200);
  EXPECT_EQ(BodyOf(head), "");
  EXPECT_EQ(index.find("Access-Control"), std::string::npos);
}

TEST(Serve, GivesAProfile) {
  const Server server = Start();
  const std::string response = Fetch(server, GetText("/debug/pprof/profile?seconds=1"));
  ASSERT_EQ(StatusOf(response), 200);
  EXPECT_EQ(BodyOf(response).substr(0, 2), "\x1f\x8b");
  EXPECT_NE(response.find("Content-Type: application/octet-stream\r\n"), std::string::npos);
}

TEST(Serve, AnswersOnlyForLoopbackNamesOnLoopback) {
  const Server server = Start();
  EXPECT_EQ(StatusOf(Fetch(server, GetText("/debug/pprof/", "evil.example:6060"))), 403);
  EXPECT_EQ(StatusOf(Fetch(server, GetText("/debug/pprof/", "127.0.0.1:6060"))), 200);
  EXPECT_EQ(StatusOf(Fetch(server, GetText("/debug/pprof/", "[::1]:6060"))), 200);
}

TEST(Serve, AddressInUseOrWrongIsAnErrorWithARemedy) {
  const Server server = Start();
  const auto second = Serve({server.address()});
  ASSERT_FALSE(second.ok()) << "two servers on one port";
  EXPECT_EQ(second.status().code, Code::kUnavailable);
  EXPECT_NE(second.status().message.find("port 0"), std::string::npos);
  EXPECT_EQ(Serve({"nonsense"}).status().code, Code::kInvalidArgument);
  EXPECT_EQ(Serve({"192.0.2.1:0"}).status().code, Code::kUnavailable);
}

TEST(Serve, ClientThatGoesAwayFreesItsPlaceAtOnce) {
  const Server server = Start();
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 16; ++i) {
      clients.push_back(std::make_unique<Client>(server));
      ASSERT_TRUE(clients.back()->Send(GetText("/debug/pprof/profile?seconds=600")));
    }
    // All places are taken, until all clients leave. A probe that comes too early gets one itself,
    // for a second.
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    int status = StatusOf(Fetch(server, GetText("/debug/pprof/profile?seconds=1")));
    EXPECT_EQ(status, 503);
    clients.clear();
    const auto end = Clock::now() + std::chrono::seconds(10);
    while (status != 200 && Clock::now() < end) {
      status = StatusOf(Fetch(server, GetText("/debug/pprof/profile?seconds=1")));
    }
    EXPECT_EQ(status, 200);
  }
}

TEST(Serve, StopsAtOnceWithRequestsWaiting) {
  Server server = Start();
  Client profile(server);
  Client silent(server);
  Client half(server);
  profile.Send(GetText("/debug/pprof/profile?seconds=600"));
  half.Send("GET /debug/pp");
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const auto start = Clock::now();
  { const Server gone = std::move(server); }
  EXPECT_LT(Clock::now() - start, std::chrono::milliseconds(1000));
  profile.Read();
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(5));
}

TEST(Serve, SlowAndOversizedRequestsAreCutOff) {
  const Server server = Start();
  // A header a second: slower than the whole request may take.
  const Client slow(server);
  const auto start = Clock::now();
  slow.Send("GET /debug/pprof/ HTTP/1.1\r\n");
  while (slow.Send("X-Slow: 1\r\n") && Clock::now() - start < std::chrono::seconds(15)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(12)) << "a slow client keeps its thread";
  std::string many = "GET /debug/pprof/ HTTP/1.1\r\nHost: localhost\r\n";
  while (many.size() < 64 * 1024) many += "X-Header: " + std::string(100, 'x') + "\r\n";
  EXPECT_NE(StatusOf(Fetch(server, many + "\r\n")), 200);
  const std::string ranges = "Range: bytes=0-1" + [] {
    std::string more;
    while (more.size() < 7000) more += ",2-3";
    return more;
  }();
  Fetch(server, "GET /debug/pprof/ HTTP/1.1\r\nHost: localhost\r\n" + ranges + "\r\n\r\n");
  Fetch(server, std::string(20000, 'A'));
  Fetch(server, std::string("\0\xff\r\n\r\n", 6));
  EXPECT_EQ(StatusOf(Fetch(server, GetText("/debug/pprof/"))), 200) << "the server is well";
}

TEST(Serve, MoreConnectionsThanWorkersAreRefusedNotHeld) {
  const Server server = Start();
  std::vector<std::unique_ptr<Client>> silent;
  for (std::size_t i = 0; i < kMaxWorkers; ++i) silent.push_back(std::make_unique<Client>(server));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto start = Clock::now();
  EXPECT_EQ(StatusOf(Fetch(server, GetText("/debug/pprof/"))), 503);
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(3));
  silent.clear();
  const auto end = Clock::now() + std::chrono::seconds(10);
  int status = 0;
  while (status != 200 && Clock::now() < end) {
    status = StatusOf(Fetch(server, GetText("/debug/pprof/")));
  }
  EXPECT_EQ(status, 200);
}

TEST(Serve, ForkChildLetsGoAndMayServeItself) {
  auto server = std::make_unique<Server>(Start());
  const pid_t child = fork();
  if (child == 0) {
    server.reset();
    auto own = Serve({"127.0.0.1:0"});
    const bool works = own.ok() && StatusOf(Fetch(*own, GetText("/debug/pprof/"))) == 200;
    _exit(works ? 0 : 1);
  }
  int state = 0;
  ASSERT_EQ(waitpid(child, &state, 0), child);
  EXPECT_TRUE(WIFEXITED(state) && WEXITSTATUS(state) == 0);
  EXPECT_EQ(StatusOf(Fetch(*server, GetText("/debug/pprof/"))), 200);
}

TEST(Serve, ExitWithARunningServerDoesNotHang) {
  const pid_t child = fork();
  if (child == 0) {
    static Server server = Start();
    std::thread client([] { Fetch(server, GetText("/debug/pprof/profile?seconds=600")); });
    client.detach();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    exit(0);
  }
  int state = 0;
  const auto end = Clock::now() + std::chrono::seconds(20);
  pid_t done = 0;
  while (done == 0 && Clock::now() < end) {
    done = waitpid(child, &state, WNOHANG);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(done, child);
  EXPECT_TRUE(WIFEXITED(state) && WEXITSTATUS(state) == 0);
  if (done == 0) kill(child, SIGKILL);
}

}  // namespace
}  // namespace pprof_http
