// A C++20 coroutine that another thread resumes: the awaiter carries the context over, whoever the
// other thread is. Where the executor carries it already, as pool.cc does, the awaiter need not.

#include <otelpyroscope/carried_context.h>

#include <coroutine>
#include <exception>
#include <future>
#include <thread>

#include "examples/handover/requests.h"

namespace {

// co_await ElsewhereInContext(): what follows runs on another thread.
struct ElsewhereInContext {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) const {
    std::thread([carried = otelpyroscope::CarriedContext::Current(), waiting] {
      // Around resume(), which returns when the coroutine suspends again or ends: the scope ends on
      // the thread where it began, wherever the coroutine is by then.
      const otelpyroscope::CarriedScope scope(carried);
      waiting.resume();
    }).detach();
  }
  void await_resume() const noexcept {}
};

struct Async {
  struct promise_type {  // NOLINT(readability-identifier-naming): the language's name
    std::promise<void> done;
    Async get_return_object() { return {done.get_future()}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() { done.set_value(); }
    void unhandled_exception() { done.set_exception(std::current_exception()); }
  };
  std::future<void> done;
};

Async WorkInLegs(handover::Work work) {
  for (int leg = 0; leg < 4; ++leg) {
    co_await ElsewhereInContext();
    work();
  }
}

}  // namespace

int main() {
  return handover::RunTwoRequests([](const handover::Work& work) { WorkInLegs(work).done.get(); });
}
