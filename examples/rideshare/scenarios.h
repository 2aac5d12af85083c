// What the service can be asked for: the three vehicles, and each lesson by itself.
#pragma once

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <string>
#include <thread>

#include "examples/rideshare/http_server.h"
#include "examples/rideshare/pool.h"
#include "examples/rideshare/work.h"

namespace rideshare {

// A queue with one consumer: every message is a trace of its own that uses 300 us of CPU time.
class PingConsumer {
 public:
  PingConsumer();
  ~PingConsumer();
  PingConsumer(const PingConsumer&) = delete;
  PingConsumer& operator=(const PingConsumer&) = delete;

  // Queues `pings` messages; the future is ready when all are processed.
  std::future<void> Send(int pings);

 private:
  struct Batch {
    int pings = 0;
    std::promise<void> done;
  };
  void Consume();

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Batch> batches_;
  bool stopping_ = false;
  std::thread thread_;
};

class Scenarios {
 public:
  // `pricing`: host:port of the downstream service.
  explicit Scenarios(std::string pricing);

  // Registers all routes. REQUIRES: this object outlives the server's run.
  void Register(HttpServer& server);

  void HotLoop();
  void Lock();
  void WaitForIo();
  void Allocate();
  void UsePool();
  void UseCoroutine();
  void ShortSpans();
  void AskDownstream(const std::string& vehicle);

 private:
  Async<double> PlanRoute();

  std::string pricing_;
  std::mutex bookings_;
  Pool pool_{2};
  PingConsumer pings_;
};

// The route of the pricing service: slow by nature.
void RegisterPricing(HttpServer& server);

}  // namespace rideshare
