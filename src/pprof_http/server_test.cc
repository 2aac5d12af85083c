// What Serve promises: answers, addresses, its end. Profiles are real, but hardly any CPU time is
// used.

#include <gtest/gtest.h>
#include <pprof_http/pprof_http.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "src/pprof_http/raw_client_test.h"

namespace pprof_http {
namespace {

using Code = pprof::Status::Code;

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

TEST(Serve, ListensOnIpv6Loopback) {
  auto server = Serve({"[::1]:0"});
  ASSERT_TRUE(server.ok()) << server.status().message;
  EXPECT_EQ(server->address().substr(0, 6), "[::1]:");
  EXPECT_EQ(StatusOf(Fetch(*server, GetText("/debug/pprof/", server->address()))), 200);
}

TEST(Serve, LeavesTheProgramsSigpipeAlone) {
  for (const auto action : {SIG_DFL, SIG_IGN}) {
    const auto before = signal(SIGPIPE, action);
    { const Server server = Start(); }
    EXPECT_EQ(signal(SIGPIPE, before), action);
  }
}

// Else a worker of a preforking server would keep its dead parent's port.
TEST(Serve, ForkChildDoesNotHoldThePort) {
  const auto listens = [] {
    for (int fd = 0; fd < 1024; ++fd) {
      int accepts = 0;
      socklen_t size = sizeof accepts;
      if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) == 0 && accepts != 0) {
        return true;
      }
    }
    return false;
  };
  ASSERT_FALSE(listens()) << "by what started this test";
  const Server server = Start();
  EXPECT_TRUE(listens());
  const pid_t child = fork();
  if (child == 0) _exit(listens() ? 1 : 0);
  int state = 0;
  ASSERT_EQ(waitpid(child, &state, 0), child);
  EXPECT_TRUE(WIFEXITED(state) && WEXITSTATUS(state) == 0);
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

TEST(Serve, ForkChildLetsGoAndMayServeItself) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "g++ 12's AddressSanitizer keeps its allocator's lock, held by another thread at "
                  "fork, in the child";
#endif
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
