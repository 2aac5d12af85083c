// Traced load for the service: riders who ask for vehicles, each in a loop of its own, until
// SIGTERM or for LOAD_SECONDS.

#include <opentelemetry/baggage/baggage_context.h>
#include <opentelemetry/context/runtime_context.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "examples/rideshare/http_client.h"
#include "examples/rideshare/settings.h"
#include "examples/rideshare/telemetry.h"

namespace {

using opentelemetry::baggage::Baggage;
using opentelemetry::context::RuntimeContext;

const std::vector<std::string> kTargets = {"/bike",
                                           "/bike",
                                           "/scooter",
                                           "/car",
                                           "/car",
                                           "/hot-loop?vehicle=scooter",
                                           "/lock",
                                           "/io?vehicle=bike",
                                           "/allocation",
                                           "/pool?vehicle=scooter",
                                           "/coroutine",
                                           "/short-spans?vehicle=car",
                                           "/downstream?vehicle=bike"};
const std::vector<std::string> kTiers = {"free", "plus", "business"};

struct Count {
  std::atomic<int> answered{0};
  std::atomic<int> failed{0};
};

template <class List>
const std::string& Any(const List& list, std::mt19937& random) {
  return list[random() % list.size()];
}

// One rider's request: the trace begins here, and the tier travels as baggage.
void Ask(const std::string& service, std::mt19937& random, Count& count) {
  auto baggage = Baggage::GetDefault()->Set("customer.tier", Any(kTiers, random));
  auto context = RuntimeContext::GetCurrent();
  const auto token = RuntimeContext::Attach(opentelemetry::baggage::SetBaggage(context, baggage));
  const auto answer = rideshare::TracedGet(service, Any(kTargets, random));
  ++(answer.status == 200 ? count.answered : count.failed);
}

}  // namespace

int main() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  // A quarter of the traces is not sampled: their work is found by span_name alone.
  const rideshare::Telemetry telemetry("rideshare-load",
                                       rideshare::NumberSetting("LOAD_SAMPLED_SHARE", 0.75));
  const auto services =
      rideshare::SplitAtCommas(rideshare::Setting("LOAD_TARGETS", "127.0.0.1:8080"));
  const int riders = static_cast<int>(rideshare::NumberSetting("LOAD_RIDERS", 3));
  const double seconds = rideshare::NumberSetting("LOAD_SECONDS", 0);

  std::atomic<bool> stop{false};
  Count count;
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(std::max(riders, 0)));
  for (int rider = 0; rider < riders; ++rider) {
    threads.emplace_back([&, rider] {
      std::mt19937 random(static_cast<unsigned>(rider + 1));
      while (!stop) {
        Ask(Any(services, random), random, count);
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    });
  }
  timespec time{static_cast<time_t>(seconds), 0};
  if (seconds > 0) {
    sigtimedwait(&signals, nullptr, &time);
  } else {
    int signal = 0;
    sigwait(&signals, &signal);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  std::cout << count.answered << " requests answered, " << count.failed << " failed" << std::endl;
  return count.failed == 0 && count.answered > 0 ? 0 : 1;
}
