// The server against clients that misbehave.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "src/pprof_http/bounded_stream.h"
#include "src/pprof_http/raw_client_test.h"
#include "src/pprof_http/worker_pool.h"

namespace pprof_http {
namespace {

TEST(HostileClients, ClientThatGoesAwayFreesItsPlaceAtOnce) {
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

TEST(HostileClients, SlowAndOversizedRequestsAreCutOff) {
  const Server server = Start();
  // A header a second: slower than the whole request may take.
  const Client slow(server);
  const auto start = Clock::now();
  slow.Send("GET /debug/pprof/ HTTP/1.1\r\n");
  while (slow.Send("X-Slow: 1\r\n") && Clock::now() - start < std::chrono::seconds(15)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(12)) << "a slow client keeps its thread";
  EXPECT_EQ(StatusOf(slow.Read()), 408);
  std::string many = "GET /debug/pprof/ HTTP/1.1\r\nHost: localhost\r\n";
  while (many.size() < 64 * 1024) many += "X-Header: " + std::string(100, 'x') + "\r\n";
  EXPECT_EQ(StatusOf(Fetch(server, many + "\r\n")), 431);
  EXPECT_EQ(StatusOf(Fetch(server, std::string(20000, 'A'))), 431);
  EXPECT_NE(StatusOf(Fetch(server, std::string("\0\xff\r\n\r\n", 6))), 200);
  EXPECT_EQ(StatusOf(Fetch(server, GetText("/debug/pprof/"))), 200) << "the server is well";
}

// cpp-httplib would answer each range, and use stack for each digit of the field.
TEST(HostileClients, RangesAreIgnored) {
  const Server server = Start();
  std::string ranges = "rAnGe : bytes=0-1";
  while (ranges.size() < 8000) ranges += ",0-";
  const std::string plain = Fetch(server, GetText("/debug/pprof/"));
  EXPECT_EQ(BodyOf(Fetch(
                server, "GET /debug/pprof/ HTTP/1.1\r\n" + ranges + "\r\nHost: localhost\r\n\r\n")),
            BodyOf(plain));
  std::string head = "GET / HTTP/1.1\r\nRange: a\r\nRanger: b\r\nRANGE:c\r\nrange\td\r\n\r\n";
  DropRanges(&head);
  EXPECT_EQ(head, "GET / HTTP/1.1\r\nRanger: b\r\nrange\td\r\n\r\n");
  head = "\r\nRange:\r\n\r\n";
  DropRanges(&head);
  EXPECT_EQ(head, "\r\n\r\n");
}

TEST(HostileClients, PipelinedRequestDoesNotHideThatTheClientLeft) {
  const Server server = Start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 16; ++i) {
    clients.push_back(std::make_unique<Client>(server));
    ASSERT_TRUE(clients.back()->Send(GetText("/debug/pprof/profile?seconds=600") +
                                     GetText("/debug/pprof/cmdline")));
  }
  // A probe that comes too early gets a place itself, for a second.
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  int status = StatusOf(Fetch(server, GetText("/debug/pprof/profile?seconds=1")));
  EXPECT_EQ(status, 503);
  clients.clear();
  const auto end = Clock::now() + std::chrono::seconds(10);
  while (status == 503 && Clock::now() < end) {
    status = StatusOf(Fetch(server, GetText("/debug/pprof/profile?seconds=1")));
  }
  EXPECT_EQ(status, 200);
}

TEST(HostileClients, TwoHundredAtOnceAreAnsweredOrRefused) {
  const Server server = Start();
  std::vector<int> statuses(200);
  std::vector<std::thread> threads;
  for (int& status : statuses) {
    threads.emplace_back(
        [&] { status = StatusOf(Fetch(server, GetText("/debug/pprof/profile?seconds=1"))); });
  }
  for (std::thread& thread : threads) thread.join();
  int answered = 0;
  for (const int status : statuses) {
    EXPECT_TRUE(status == 200 || status == 503) << status;
    if (status == 200) ++answered;
  }
  EXPECT_GE(answered, 1);
  EXPECT_EQ(StatusOf(Fetch(server, GetText("/debug/pprof/"))), 200);
}

// Descriptors that do not fit into select's sets.
TEST(HostileClients, ProgramWithThousandsOfFilesIsServed) {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit before = limit;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  std::vector<int> files;
  while (files.empty() || files.back() < 2000) {
    files.push_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
    ASSERT_GE(files.back(), 0);
  }
  {
    const Server server = Start();
    EXPECT_EQ(StatusOf(Fetch(server, GetText("/debug/pprof/"))), 200);
    EXPECT_EQ(StatusOf(Fetch(server, GetText("/debug/pprof/profile?seconds=1"))), 200);
  }
  for (const int file : files) close(file);
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST(HostileClients, LackOfFilesDoesNotEndTheServer) {
  const Server server = Start();
  const int sockets[] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_STREAM, 0)};
  rlimit before = {};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 3;  // 0 to 2 are in use, so no number is left for another connection
  const int limited = setrlimit(RLIMIT_NOFILE, &none);
  // An accept that waits already holds a number: the first connection may get that.
  const Client first(server, sockets[0]);
  first.Send(GetText("/debug/pprof/"));
  first.Read(std::chrono::seconds(1));
  const Client second(server, sockets[1]);
  second.Send(GetText("/debug/pprof/"));
  const std::string early = second.Read(std::chrono::seconds(1));
  // Only now: UndefinedBehaviorSanitizer needs files for its checks of the streams in assertions.
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(limited, 0);
  EXPECT_EQ(early, "") << "there was a file left";
  EXPECT_EQ(StatusOf(second.Read()), 200);
}

TEST(HostileClients, MoreConnectionsThanWorkersAreRefusedNotHeld) {
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

}  // namespace
}  // namespace pprof_http
