#include "bench/load/scenarios.h"

#include <opentelemetry/sdk/trace/processor.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/trace/scope.h>
#include <opentelemetry/trace/tracer.h>
#include <otelpyroscope/otelpyroscope.h>
#include <pprof/labels.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "tests/support/busy.h"

namespace load {
namespace {

namespace nostd = opentelemetry::nostd;
namespace trace = opentelemetry::trace;
namespace sdk = opentelemetry::sdk::trace;

using Clock = std::chrono::steady_clock;
using pprof::Labels;
using pprof::LabelScope;
using pprof::LabelSet;

Clock::time_point After(double seconds) {
  return Clock::now() + std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6));
}

unsigned Cores() { return std::max(1u, std::thread::hardware_concurrency()); }

// --- Threads that mostly wait, as a pool of blocking requests does: 50 us of work each second.

Done LiveThreads(const Size& size) {
  const auto count = static_cast<std::uint64_t>(10000 * size.part);
  std::mutex mutex;
  std::condition_variable stopping;
  bool stop = false;
  std::vector<std::thread> threads;
  const LabelSet labels = Labels({{"operation", "poll"}});
  for (std::uint64_t i = 0; i < count; ++i) {
    threads.emplace_back([&] {
      std::unique_lock<std::mutex> lock(mutex);
      while (!stop) {
        lock.unlock();
        {
          const LabelScope scope(labels);
          test::BurnCpu(50000);
        }
        lock.lock();
        stopping.wait_for(lock, std::chrono::seconds(1), [&] { return stop; });
      }
    });
  }
  std::this_thread::sleep_until(After(size.seconds));
  {
    const std::lock_guard<std::mutex> lock(mutex);
    stop = true;
  }
  stopping.notify_all();
  for (std::thread& thread : threads) thread.join();
  return {count, static_cast<double>(count), count};
}

// --- A thread a task: 200 us of work each.

Done ThreadChurn(const Size& size) {
  const LabelSet labels = Labels({{"operation", "task"}});
  const double a_second = 2000 * size.part;
  const auto start = Clock::now();
  std::deque<std::thread> running;
  Done done;
  while (true) {
    const double now = std::chrono::duration<double>(Clock::now() - start).count();
    if (now >= size.seconds) break;
    while (static_cast<double>(done.units) < now * a_second) {
      running.emplace_back([&] {
        const LabelScope scope(labels);
        test::BurnCpu(200000);
      });
      ++done.units;
      done.live_threads = std::max<std::uint64_t>(done.live_threads, running.size());
      if (running.size() >= 16) {
        running.front().join();
        running.pop_front();
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (std::thread& thread : running) thread.join();
  done.wanted = a_second * size.seconds;
  return done;
}

// --- Spans: recorded as for export, then dropped, because the exporter's cost is not ours.

class DroppingProcessor final : public sdk::SpanProcessor {
 public:
  std::unique_ptr<sdk::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<sdk::SpanData>();
  }
  void OnStart(sdk::Recordable&, const trace::SpanContext&) noexcept override {}
  void OnEnd(std::unique_ptr<sdk::Recordable>&&) noexcept override {}
  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }
};

nostd::shared_ptr<trace::TracerProvider> MakeProvider(bool bridge) {
  auto provider = std::make_unique<sdk::TracerProvider>(std::make_unique<DroppingProcessor>());
  if (bridge) return otelpyroscope::NewTracerProvider(std::move(provider));
  return nostd::shared_ptr<trace::TracerProvider>(provider.release());
}

// One request: a root and nine children under it.
void TenSpans(trace::Tracer& tracer) {
  const auto root = tracer.StartSpan("request");
  const trace::Scope root_scope(root);
  for (int i = 0; i < 9; ++i) {
    const auto child = tracer.StartSpan("part");
    {
      const trace::Scope scope(child);
      test::Spin();
    }
    child->End();
  }
  root->End();
}

Done Spans(const Size& size) {
  const auto provider = MakeProvider(size.bridge);
  const double a_thread = 100000 * size.part / Cores();
  std::atomic<std::uint64_t> spans{0};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < Cores(); ++i) {
    threads.emplace_back([&] {
      const auto tracer = provider->GetTracer("load");
      const auto start = Clock::now();
      std::uint64_t own = 0;
      for (double now = 0; now < size.seconds;) {
        now = std::chrono::duration<double>(Clock::now() - start).count();
        if (static_cast<double>(own) < now * a_thread) {
          TenSpans(*tracer);
          own += 10;
        } else {
          std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
      }
      spans += own;
    });
  }
  for (std::thread& thread : threads) thread.join();
  return {spans, 100000 * size.part * size.seconds, Cores()};
}

// --- Labels that never come again, as ids of requests: 1,000,000 values, 20 us of work under each.

Done DistinctLabels(const Size& size) {
  const auto count = static_cast<std::uint64_t>(1000000 * size.part);
  const auto end = After(size.seconds);
  std::atomic<std::uint64_t> next{0};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < Cores(); ++i) {
    threads.emplace_back([&] {
      while (true) {
        const std::uint64_t value = next.fetch_add(1);
        if (value >= count || (value % 256 == 0 && Clock::now() >= end)) break;
        const LabelScope scope(Labels({{"request", "request-" + std::to_string(value)}}));
        for (int piece = 0; piece < 4; ++piece) test::Spin();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return {std::min<std::uint64_t>(next, count), static_cast<double>(count), Cores()};
}

// --- Threads that never wait.

Done BusyThreads(const Size& size) {
  const auto count = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(64 * size.part));
  const auto end = After(size.seconds);
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      const LabelScope scope(Labels({{"worker", std::to_string(i)}}));
      while (Clock::now() < end) test::Spin();
    });
  }
  for (std::thread& thread : threads) thread.join();
  return {count, static_cast<double>(count), count};
}

// --- All of the above at once, a quarter of each.

Done Everything(const Size& size) {
  Size quarter = size;
  quarter.part /= 4;
  using Run = Done (*)(const Size&);
  const Run runs[] = {LiveThreads, ThreadChurn, Spans, DistinctLabels, BusyThreads};
  std::vector<Done> done(std::size(runs));
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < std::size(runs); ++i) {
    threads.emplace_back([&, i] { done[i] = runs[i](quarter); });
  }
  for (std::thread& thread : threads) thread.join();
  Done all;
  for (const Done& one : done) all.live_threads += one.live_threads;
  all.units = all.live_threads;
  return all;  // `wanted` 0: two cores do not get through all of it
}

}  // namespace

const std::vector<Scenario>& Scenarios() {
  static const std::vector<Scenario> all = {
      {"live_threads", "10,000 live threads", 100, 20, false, LiveThreads},
      {"thread_churn", "2,000 threads a second starting and ending", 100, 60, false, ThreadChurn},
      {"spans", "100,000 spans a second on all cores", 100, 20, false, Spans},
      {"distinct_labels", "1,000,000 distinct label values", 100, 60, true, DistinctLabels},
      {"busy_threads", "64 busy threads at 100 Hz", 100, 20, false, BusyThreads},
      {"everything", "a quarter of all of that at once, at 1 kHz", 1000, 20, false, Everything},
  };
  return all;
}

const Scenario* Find(std::string_view name) {
  for (const Scenario& scenario : Scenarios()) {
    if (scenario.name == name) return &scenario;
  }
  return nullptr;
}

}  // namespace load
