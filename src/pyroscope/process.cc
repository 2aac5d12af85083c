#include "src/pyroscope/process.h"

#include <pthread.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

#include "src/pyroscope/counters.h"
#include "src/pyroscope/http_client.h"

namespace pyroscope::internal {
namespace {

using pprof::Result;
using pprof::Status;

// Never destroyed: a Profiler may live as long as the process.
struct Process {
  std::mutex mutex;
  std::weak_ptr<Session> session;
  bool prepared = false;
  const Process* parents = nullptr;  // left behind by fork(); kept reachable for leak checkers
};
Process* g_process = nullptr;

Process& ThisProcess() {
  static Process* const first = g_process = new Process();
  static_cast<void>(first);
  return *g_process;
}

std::atomic<std::uint32_t> g_fork_generation{0};

// Only the forking thread exists here. Locks may be held by others, objects half-changed: all of it
// is left behind.
void InChild() {
  g_fork_generation.fetch_add(1, std::memory_order_relaxed);
  if (auto* const process = new (std::nothrow) Process()) {
    process->prepared = true;
    process->parents = g_process;
    g_process = process;
  }
  ResetCountersInChild();
  ResetCurlInitInChild();
}

// exit() destroys what TLS libraries need; our threads must have ended before.
void AtExit() {
  std::shared_ptr<Session> session;
  {
    const std::lock_guard<std::mutex> lock(ThisProcess().mutex);
    session = ThisProcess().session.lock();
  }
  if (session != nullptr) Profiler{std::move(session)};  // its destructor stops it
}

}  // namespace

std::uint32_t ForkGeneration() noexcept {
  return g_fork_generation.load(std::memory_order_relaxed);
}

Result<std::shared_ptr<Session>> StartOnlySession(Settings settings, pprof::ProfileSource& source,
                                                  const Tuning& tuning) {
  Process& process = ThisProcess();
  const std::lock_guard<std::mutex> lock(process.mutex);
  const std::shared_ptr<Session> other = process.session.lock();
  if (other != nullptr && other->running()) {
    return Status{Status::Code::kUnavailable,
                  "a profiler is running in this process already: two would send every sample "
                  "twice; use that one, or stop it first"};
  }
  // Before our exit handler: those run in the reverse order.
  if (Status status = InitCurl(); !status.ok()) return status;
  if (!process.prepared) {
    if (pthread_atfork(nullptr, nullptr, &InChild) != 0 || std::atexit(&AtExit) != 0) {
      return Status{Status::Code::kUnavailable, "no memory for handlers of fork() and exit()"};
    }
    process.prepared = true;
  }
  auto session = Session::Start(std::move(settings), source, tuning);
  if (session.ok()) process.session = *session;
  return session;
}

}  // namespace pyroscope::internal
