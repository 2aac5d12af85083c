#include "src/pprof/labels/thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mutex>
#include <new>

#include "src/pprof/base/log.h"
#include "src/pprof/base/pin.h"
#include "src/pprof/handler/walk.h"
#include "src/pprof/labels/thread_registry.h"

namespace pprof::labels {

__thread ThreadState* t_state = nullptr;
LabelCounters g_label_counters;

namespace {

using handler::ThreadRecord;

// A pthread key, not a thread_local with a destructor: keys are destroyed after all thread_local
// objects, so labels work in those. A later label registers the thread anew, and the key's
// destructor runs once more.
pthread_key_t g_exit_key;
bool g_exit_key_made = false;

void OnExit(void* argument) noexcept {
  auto* state = static_cast<ThreadState*>(argument);
  ThreadRecord& record = *state->record;
  CloseFirstScope(*state, state->first.token);
  record.trace_context.store(nullptr, std::memory_order_relaxed);
  record.labels.store(nullptr, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  ReleaseLayers(*state);  // before the observer reads the thread's CPU clock for the last time
  {
    ThreadRegistry& registry = ThreadRegistry::Get();
    const std::lock_guard<std::mutex> lock(registry.mutex());
    if (registry.observer() != nullptr) registry.observer()->OnThreadExit(record);
    registry.Release(record);
  }
  t_state = nullptr;
  delete state;
}

// All zero when not known: the handler then probes every page.
handler::StackBounds ReadStackBounds() noexcept {
  handler::StackBounds bounds;
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return bounds;
  void* low = nullptr;
  std::size_t size = 0;
  if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
    bounds.low = reinterpret_cast<std::uintptr_t>(low);
    bounds.high = bounds.low + size;
  }
  pthread_attr_destroy(&attributes);
  return bounds;
}

// fork: nothing may be half-done in the child, and a large fork should not be interrupted by our
// own signal again and again (kernels before 4.19 restart it each time).
sigset_t g_mask_before_fork;

void BeforeFork() noexcept {
  base::LockLogForFork();
  ThreadRegistry::Get().mutex().lock();
  sigset_t ours;
  sigemptyset(&ours);
  sigaddset(&ours, SIGPROF);
  pthread_sigmask(SIG_BLOCK, &ours, &g_mask_before_fork);
}

void UnlockAfterFork() noexcept {
  const sigset_t mask = g_mask_before_fork;
  ThreadRegistry::Get().mutex().unlock();
  pthread_sigmask(SIG_SETMASK, &mask, nullptr);
}

void AfterForkInParent() noexcept {
  base::UnlockLogInParent();
  UnlockAfterFork();
}

void AfterForkInChild() noexcept {
  base::ResetLogInChild();
  handler::g_shared.enabled.store(false, std::memory_order_seq_cst);
  ThreadRegistry::Get().ResetInChild(t_state != nullptr ? t_state->record : nullptr);
  UnlockAfterFork();
}

void InstallOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    ThreadRegistry::Get();
    base::PinThisModule();
    g_exit_key_made = pthread_key_create(&g_exit_key, OnExit) == 0;
    pthread_atfork(BeforeFork, AfterForkInParent, AfterForkInChild);
  });
}

}  // namespace

void InstallThreadHooks() { InstallOnce(); }

ThreadState* RegisterThread() noexcept {
  try {
    InstallOnce();
    if (!g_exit_key_made) return nullptr;
    auto* state = new (std::nothrow) ThreadState();
    if (state == nullptr) return nullptr;
    const auto tid = static_cast<std::int32_t>(syscall(SYS_gettid));
    const handler::StackBounds stack =
        ReadStackBounds();  // reads /proc on the main thread: unlocked
    ThreadRegistry& registry = ThreadRegistry::Get();
    std::unique_lock<std::mutex> lock(registry.mutex());
    ThreadRecord* record = registry.FindOrAdd(tid);
    if (record == nullptr || pthread_setspecific(g_exit_key, state) != 0) {
      if (record != nullptr && !record->registered && record->timer < 0) registry.Release(*record);
      lock.unlock();
      delete state;
      return nullptr;
    }
    state->record = record;
    state->tokens_before = record->last_token;
    record->stack_low.store(stack.low, std::memory_order_relaxed);
    record->stack_high.store(stack.high, std::memory_order_relaxed);
    record->registered = true;
    if (registry.observer() != nullptr) {
      registry.observer()->OnThreadRegistered(*record);
      if (record->timer >= 0) AwaitFirstScope(*state, record->epoch);
    }
    lock.unlock();
    g_label_counters.threads_registered.fetch_add(1, std::memory_order_relaxed);
    t_state = state;
    return state;
  } catch (...) {  // call_once: the host's pthread layer refused; the thread goes without labels
    return nullptr;
  }
}

}  // namespace pprof::labels
