// std::async: its thread starts without a context, so the function takes the caller's along.

#include <otelpyroscope/carried_context.h>

#include <future>
#include <vector>

#include "examples/handover/requests.h"

namespace {

template <class F>
auto AsyncInContext(F run) {
  return std::async(std::launch::async,
                    [carried = otelpyroscope::CarriedContext::Current(), run = std::move(run)] {
                      const otelpyroscope::CarriedScope scope(carried);
                      return run();
                    });
}

}  // namespace

int main() {
  return handover::RunTwoRequests([](const handover::Work& work) {
    std::vector<std::future<void>> pieces;
    pieces.reserve(4);
    for (int i = 0; i < 4; ++i) pieces.push_back(AsyncInContext(work));
    for (auto& piece : pieces) piece.get();
  });
}
