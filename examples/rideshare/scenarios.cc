#include "examples/rideshare/scenarios.h"

#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/scope.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "examples/rideshare/http_client.h"
#include "examples/rideshare/telemetry.h"

namespace rideshare {
namespace {

namespace trace = opentelemetry::trace;
using std::chrono::microseconds;
using std::chrono::milliseconds;

}  // namespace

PingConsumer::PingConsumer() : thread_([this] { Consume(); }) {}

PingConsumer::~PingConsumer() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_all();
  thread_.join();
}

std::future<void> PingConsumer::Send(int pings) {
  Batch batch;
  batch.pings = pings;
  std::future<void> done = batch.done.get_future();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    batches_.push_back(std::move(batch));
  }
  ready_.notify_one();
  return done;
}

void PingConsumer::Consume() {
  for (;;) {
    std::unique_lock<std::mutex> lock(mutex_);
    ready_.wait(lock, [this] { return stopping_ || !batches_.empty(); });
    if (batches_.empty()) return;
    Batch batch = std::move(batches_.front());
    batches_.pop_front();
    lock.unlock();
    for (int ping = 0; ping < batch.pings; ++ping) {
      trace::StartSpanOptions options;
      options.kind = trace::SpanKind::kConsumer;
      auto span = GetTracer()->StartSpan("process ping", options);
      const trace::Scope scope(span);
      SnapToRoad(ping, microseconds(300));
      span->End();
    }
    batch.done.set_value();
  }
}

Scenarios::Scenarios(std::string pricing) : pricing_(std::move(pricing)) {}

void Scenarios::HotLoop() { FindNearestVehicle(milliseconds(150)); }

void Scenarios::Lock() {
  auto span = GetTracer()->StartSpan("book seat");
  const auto asked = std::chrono::steady_clock::now();
  const std::lock_guard<std::mutex> lock(bookings_);
  const auto waited = std::chrono::steady_clock::now() - asked;
  span->SetAttribute(
      "rideshare.lock_wait_us",
      static_cast<std::int64_t>(std::chrono::duration_cast<microseconds>(waited).count()));
  const trace::Scope scope(span);
  BookSeat(milliseconds(80));
  span->End();
}

void Scenarios::WaitForIo() { ReadMapTile(milliseconds(150)); }

void Scenarios::Allocate() { PrintReceipts(milliseconds(100)); }

void Scenarios::UsePool() {
  std::vector<std::future<void>> parts;
  for (int part = 0; part < 4; ++part) {
    auto done = std::make_shared<std::promise<void>>();
    parts.push_back(done->get_future());
    pool_.Post([part, done] {
      ScoreDrivers(part, milliseconds(40));
      done->set_value();
    });
  }
  for (auto& part : parts) part.get();
}

// Three legs, each on whichever thread of the pool is free. No trace::Scope is open across a
// co_await: it would end on another thread than it began on.
Async<double> Scenarios::PlanRoute() {
  double length = 1;
  for (int leg = 0; leg < 3; ++leg) {
    co_await pool_.Resume();
    length = ExpandRoute(length, milliseconds(40));
  }
  co_return length;
}

void Scenarios::UseCoroutine() { PlanRoute().Wait(); }

void Scenarios::ShortSpans() { pings_.Send(400).get(); }

void Scenarios::AskDownstream(const std::string& vehicle) {
  if (TracedGet(pricing_, "/price?vehicle=" + vehicle).status != 200) {
    throw std::runtime_error("pricing did not answer");
  }
}

void Scenarios::Register(HttpServer& server) {
  const auto route = [&server](const std::string& path, std::function<void()> run) {
    server.Get(path, [run = std::move(run)](const httplib::Request&, httplib::Response& response) {
      run();
      response.set_content("ok\n", "text/plain");
    });
  };
  route("/bike", [this] { HotLoop(), WaitForIo(); });
  route("/scooter", [this] { UsePool(), Allocate(); });
  route("/car", [this] { UseCoroutine(), Lock(), AskDownstream("car"); });
  route("/hot-loop", [this] { HotLoop(); });
  route("/lock", [this] { Lock(); });
  route("/io", [this] { WaitForIo(); });
  route("/allocation", [this] { Allocate(); });
  route("/pool", [this] { UsePool(); });
  route("/coroutine", [this] { UseCoroutine(); });
  route("/short-spans", [this] { ShortSpans(); });
  route("/downstream", [this] { AskDownstream("bike"); });
}

void RegisterPricing(HttpServer& server) {
  server.Get("/price", [](const httplib::Request&, httplib::Response& response) {
    EstimateSurge(milliseconds(100));
    response.set_content("12.30\n", "text/plain");
  });
}

}  // namespace rideshare
