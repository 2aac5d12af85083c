// Boost.Asio: a handler runs on whichever thread runs the io_context, so each handler is wrapped
// where it is handed over.

#include <otelpyroscope/carried_context.h>

#include <boost/asio.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "examples/handover/requests.h"

namespace {

// A handler that runs in the context of whoever made it.
template <class Handler>
auto InContext(Handler handler) {
  return [carried = otelpyroscope::CarriedContext::Current(),
          handler = std::move(handler)](auto&&... arguments) mutable {
    const otelpyroscope::CarriedScope scope(carried);
    handler(std::forward<decltype(arguments)>(arguments)...);
  };
}

// Three pieces, one after another, each begun by a timer.
struct Chain : std::enable_shared_from_this<Chain> {
  Chain(boost::asio::io_context& io, handover::Work what) : timer(io), work(std::move(what)) {}

  void Next() {
    if (left-- == 0) return done.set_value();
    timer.expires_after(std::chrono::milliseconds(1));
    timer.async_wait(InContext([self = shared_from_this()](const boost::system::error_code&) {
      self->work();
      self->Next();
    }));
  }

  boost::asio::steady_timer timer;
  handover::Work work;
  int left = 3;
  std::promise<void> done;
};

}  // namespace

int main() {
  boost::asio::io_context io;
  auto open = boost::asio::make_work_guard(io);
  std::vector<std::thread> threads;
  threads.reserve(2);
  for (int i = 0; i < 2; ++i) threads.emplace_back([&io] { io.run(); });
  const int result = handover::RunTwoRequests([&io](const handover::Work& work) {
    auto chain = std::make_shared<Chain>(io, work);
    auto done = chain->done.get_future();
    chain->Next();
    std::promise<void> posted;
    boost::asio::post(io, InContext([&] {
                        work();
                        posted.set_value();
                      }));
    posted.get_future().get();
    done.get();
  });
  open.reset();
  for (std::thread& thread : threads) thread.join();
  return result;
}
