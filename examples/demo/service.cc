#include "examples/demo/service.h"

#include <pprof/labels.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "examples/demo/accounting.h"
#include "examples/demo/pool.h"
#include "examples/demo/tracing.h"
#include "examples/demo/work.h"

namespace demo {
namespace {

using Clock = std::chrono::steady_clock;

std::atomic<std::uint64_t> g_sink{0};  // keeps results alive

void Keep(std::uint64_t value) { g_sink.fetch_add(value, std::memory_order_relaxed); }

class Service {
 public:
  Service() : tracer_(GetTracer()), pool_(2) {}

  // Parses and ranks on the request's own thread, in nested spans.
  void GetReport(std::uint64_t seed) {
    const ActiveSpan request(*tracer_, "GET /report");
    const std::string json = MakeOrdersJson(30000, seed);
    std::vector<Order> orders;
    {
      const ActiveSpan span(*tracer_, "parse orders");
      orders = ParseOrders(json);
    }
    const ActiveSpan span(*tracer_, "rank orders");
    for (int i = 0; i < 4; ++i) Keep(static_cast<std::uint64_t>(RankOrders(orders)));
  }

  // Hands two pieces of work to the pool and waits: three threads work for one request.
  void PostArchive(std::uint64_t seed) {
    const ActiveSpan request(*tracer_, "POST /archive");
    const std::string json = MakeOrdersJson(25000, seed);
    auto compressed = pool_.Submit([&] {
      const ActiveSpan span(*tracer_, "compress");
      Keep(Compress(json, 6));
    });
    auto hashed = pool_.Submit([&] {
      const ActiveSpan span(*tracer_, "hash");
      for (int i = 0; i < 40; ++i) Keep(HashTree(json));
    });
    Keep(CountWords(json));
    compressed.get();
    hashed.get();
  }

  // Labels of the application's own on top of the span's.
  void GetSearch(std::uint64_t seed) {
    static const pprof::LabelSet kTenants[2] = {pprof::Labels({{"tenant", "acme"}}),
                                                pprof::Labels({{"tenant", "globex"}})};
    const ActiveSpan request(*tracer_, "GET /search");
    pprof::Do(kTenants[seed % 2], [&] {
      const std::string json = MakeOrdersJson(12000, seed);
      for (int i = 0; i < 6; ++i) Keep(CountWords(json));
    });
  }

  // About 300 us: shorter than a sampling period, seen only in the sum over many.
  void GetQuote(const std::string& document) {
    const ActiveSpan request(*tracer_, "GET /quote");
    Keep(CountWords(document));
  }

  void GetHealth(const std::string& document) {
    const ActiveSpan request(*tracer_, kUnsampledOperation);
    Keep(HashTree(document));
    Keep(Compress(document, 1));
  }

 private:
  opentelemetry::nostd::shared_ptr<opentelemetry::trace::Tracer> tracer_;
  Pool pool_;
};

void RunClient(Service& service, std::uint64_t seed, Clock::time_point end) {
  const std::string small = MakeOrdersJson(300, seed);
  const std::string document = MakeOrdersJson(2200, seed);
  for (std::uint64_t i = seed; Clock::now() < end; i += 2) {
    service.GetReport(i);
    service.PostArchive(i);
    for (int quote = 0; quote < 10; ++quote) service.GetQuote(document);
    service.GetSearch(i);
    for (int check = 0; check < 5; ++check) service.GetHealth(small);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // a client thinks
  }
}

// Belongs to no request: shows up under "(no span)".
void RunHousekeeping(Clock::time_point end) {
  for (std::uint64_t i = 0; Clock::now() < end; ++i) {
    Keep(Compress(MakeOrdersJson(800, i), 3));
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
  }
}

}  // namespace

void RunService(std::chrono::seconds duration, void (*progress)(double, std::size_t)) {
  const Clock::time_point start = Clock::now();
  const Clock::time_point end = start + duration;
  Service service;
  std::vector<std::thread> threads;
  for (std::uint64_t client = 0; client < 2; ++client) {
    threads.emplace_back([&, client] { RunClient(service, client, end); });
  }
  threads.emplace_back([&] { RunHousekeeping(end); });
  while (Clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    progress(std::chrono::duration<double>(Clock::now() - start).count(), GlobalLedger().size());
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace demo
