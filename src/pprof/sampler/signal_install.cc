#include "src/pprof/sampler/signal_install.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <new>

#include "src/pprof/base/status.h"
#include "src/pprof/handler/handler.h"
#include "src/pprof/handler/thread_record.h"
#include "src/pprof/sampler/copies.h"

namespace pprof::sampler {

namespace {

bool IsOurs(const siginfo_t& info) noexcept {
  const std::uint32_t magic = handler::g_shared.magic.load(std::memory_order_relaxed);
  const auto cookie = reinterpret_cast<std::uint64_t>(info.si_value.sival_ptr);
  return info.si_code == SI_TIMER && magic != 0 && (cookie >> 48) == magic;
}

}  // namespace

bool SignalHandlerInPlace() noexcept {
  struct sigaction now = {};
  if (sigaction(SIGPROF, nullptr, &now) != 0) return false;
  return (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == handler::OnSigprof;
}

void DropPendingSignals() noexcept {
  constexpr int kMost = 8;  // at most two can be pending, unless somebody keeps sending
  sigset_t ours;
  sigset_t before;
  sigemptyset(&ours);
  sigaddset(&ours, SIGPROF);
  pthread_sigmask(SIG_BLOCK, &ours, &before);
  siginfo_t others[kMost];
  int count = 0;
  for (int i = 0; i < kMost; ++i) {
    const timespec now = {0, 0};
    siginfo_t& info = others[count];
    if (sigtimedwait(&ours, &info, &now) != SIGPROF) break;
    if (!IsOurs(info)) ++count;
  }
  for (int i = 0; i < count; ++i) {
    syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGPROF, &others[i]);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

namespace {

// Another copy of this library took SIGPROF over from us, and both take it in turns: what it passes
// on comes to us, and we keep passing on to what was there before both.
bool OverACopyThatCameLater() noexcept {
  struct sigaction now = {};
  return handler::g_previous.load(std::memory_order_acquire) != nullptr &&
         sigaction(SIGPROF, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 &&
         BelongsToAnotherCopy(now.sa_sigaction);
}

// False: no memory, or errno.
bool NotePrevious() noexcept {
  // Leaked: a handler on another thread may be reading it.
  auto* previous = new (std::nothrow) struct sigaction();
  errno = ENOMEM;
  if (previous == nullptr || sigaction(SIGPROF, nullptr, previous) != 0) return false;
  handler::g_previous.store(previous, std::memory_order_release);
  return true;
}

}  // namespace

Status InstallSignalHandler() noexcept {
  if (SignalHandlerInPlace()) return {};
  struct sigaction ours = {};
  ours.sa_sigaction = handler::OnSigprof;
  // On the thread's own stack: alternate stacks are small and belong to crash handlers.
  ours.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&ours.sa_mask);
  // Before ours is in place, so that the first foreign signal already finds it.
  if ((OverACopyThatCameLater() || NotePrevious()) && sigaction(SIGPROF, &ours, nullptr) == 0)
    return {};
  return base::MakeStatus(Status::Code::kUnavailable,
                          "SIGPROF cannot be handled: sigaction: ", errno, "");
}

}  // namespace pprof::sampler
