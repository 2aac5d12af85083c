// CPU profiles of the running process, written as gzip-compressed pprof (the format of Go's
// runtime/pprof).
//
//   auto profile = pprof::StartCpuProfile("cpu.pb.gz");
//   ...                                             // the program works; its labels are in
//   labels.h if (profile.ok()) profile->Stop();              // writes the file
//
// Every thread of the process is sampled by its own CPU-time timer (SIGPROF, 100 Hz), also threads
// that never call this library. With no profile running there is no timer and no sample buffer; the
// signal handler is installed by the first profile and stays, inert, afterwards (a pending SIGPROF
// would kill the process under SIG_DFL).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <pprof/export.h>
#include <pprof/status.h>

namespace pprof {

struct CpuProfileOptions {
  // Samples per second of CPU time, 1 to 1000. Process-wide: the first running profile fixes it,
  // later ones get that rate (CpuProfile::rate() tells). Above the kernel's CONFIG_HZ it buys
  // weight, not resolution.
  int rate = 100;
};

// Receives the pprof bytes (gzip) in order, inside Stop(). Return false to give up: Stop() then
// returns kIo.
using WriteFunction = std::function<bool(std::string_view)>;

// One running profile. Any number may overlap; each holds exactly the samples of its own window.
// Move-only. Members may be called from any thread, one at a time. Not async-signal-safe.
class PPROF_EXPORT CpuProfile {
 public:
  class Impl;

  explicit CpuProfile(std::unique_ptr<Impl> impl) noexcept;  // used by StartCpuProfile
  CpuProfile(CpuProfile&&) noexcept;
  CpuProfile& operator=(CpuProfile&&) noexcept;  // stops the profile that it replaces
  ~CpuProfile();                                 // = Stop(); a failure is logged

  // Ends the window, symbolizes and writes (Go: StopCPUProfile). Blocks for as long as that takes.
  // kStopped: it was stopped before, or this process is a fork child of the one that started it.
  // kIo: the profile could not be written completely.
  Status Stop() noexcept;

  // Hz in force; may differ from the one asked for.
  int rate() const noexcept;

 private:
  std::unique_ptr<Impl> impl_;
};

// Starts a profile that Stop() writes to `path`; the file is created or truncated now.
// Errors: kInvalidArgument (rate out of range, empty path), kIo (cannot open), kUnavailable (timers
// or memory refused).
PPROF_EXPORT Result<CpuProfile> StartCpuProfile(const std::string& path,
                                                CpuProfileOptions options = {}) noexcept;
// The same to a descriptor, which is borrowed until Stop() and never closed.
PPROF_EXPORT Result<CpuProfile> StartCpuProfile(int fd, CpuProfileOptions options = {}) noexcept;
// The same to a function, which is called inside Stop() by the thread that stops.
PPROF_EXPORT Result<CpuProfile> StartCpuProfile(WriteFunction write,
                                                CpuProfileOptions options = {}) noexcept;

}  // namespace pprof
