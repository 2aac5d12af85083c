#include "src/pprof/sampler/signal_install.h"

#include <errno.h>
#include <signal.h>

#include <new>

#include "src/pprof/base/status.h"
#include "src/pprof/handler/handler.h"

namespace pprof::sampler {

bool SignalHandlerInPlace() noexcept {
  struct sigaction now = {};
  if (sigaction(SIGPROF, nullptr, &now) != 0) return false;
  return (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == handler::OnSigprof;
}

Status InstallSignalHandler() noexcept {
  if (SignalHandlerInPlace()) return {};
  // Leaked: a handler on another thread may be reading it.
  auto* previous = new (std::nothrow) struct sigaction();
  if (previous == nullptr) return base::MakeStatus(Status::Code::kUnavailable, "out of memory");
  struct sigaction ours = {};
  ours.sa_sigaction = handler::OnSigprof;
  // On the thread's own stack: alternate stacks are small and belong to crash handlers.
  ours.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&ours.sa_mask);
  // Before ours is in place, so that the first foreign signal already finds it.
  if (sigaction(SIGPROF, nullptr, previous) == 0) {
    handler::g_previous.store(previous, std::memory_order_release);
    if (sigaction(SIGPROF, &ours, nullptr) == 0) return {};
  }
  return base::MakeStatus(Status::Code::kUnavailable,
                          "SIGPROF cannot be handled: sigaction: ", errno, "");
}

}  // namespace pprof::sampler
