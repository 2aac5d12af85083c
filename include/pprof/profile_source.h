// Where consumers of profiles get them: the seam between the profiler and what ships its profiles
// (pyroscope pushes them, pprof_http answers pulls). Applications use profile.h instead.
//
// Any number of windows run at once on one sampler. A window holds exactly the samples of its own
// time, judged by each sample's own timestamp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <pprof/export.h>
#include <pprof/status.h>

namespace pprof {

// What a receiver takes; 0: no limit. What does not fit is split over several profiles, shortened
// or merged under a common name, never dropped.
struct ProfileLimits {
  std::size_t max_samples = 0;            // entries of Profile.sample in one profile
  std::size_t max_bytes = 0;              // of one profile before compression
  std::size_t max_span_names = 0;         // distinct span_name values in one window
  std::size_t max_labels_per_sample = 0;  // the ids and the span name are kept before others
  std::size_t max_label_name_bytes = 0;   // longer names are cut
  std::size_t max_label_value_bytes = 0;  // longer values are cut
  std::size_t max_string_bytes = 0;       // function and file names: longer ones are cut
  // Every location gets a line: its name, or "module+0xoffset" where nothing better is known.
  // Pyroscope drops frames without a line. False: such locations stay honest, without a line.
  bool name_every_location = false;
};

// How often something was changed to keep the limits.
struct ProfileRepairs {
  std::uint64_t splits = 0;             // profiles beyond the first of a window
  std::uint64_t span_names_merged = 0;  // samples whose span_name became "other"
  std::uint64_t labels_dropped = 0;     // labels taken off samples: too many, or equal names
  std::uint64_t strings_shortened = 0;
  std::uint64_t stacks_shortened = 0;  // root-most frames taken off: too large for one profile
};

// One pprof message, gzip-compressed.
struct EncodedProfile {
  std::string gzip;
  std::size_t raw_bytes = 0;  // before compression
  std::int64_t time_ns = 0;   // Profile.time_nanos; differs between the profiles of a window
  std::int64_t duration_ns = 0;
  std::uint64_t samples = 0;  // sum of weights
};

// What a window held, in one profile or, because of limits, several. Empty windows give one profile
// without samples.
struct EncodedWindow {
  std::vector<EncodedProfile> profiles;
  ProfileRepairs repairs;
};

// One running window. One thread at a time. Not async-signal-safe. Destruction without Stop
// discards what it holds, at once. In a fork child every call gives kStopped.
class PPROF_EXPORT ProfileWindow {
 public:
  virtual ~ProfileWindow() = default;
  // Ends the window and starts the next one at the same instant, so that no sample is in both or in
  // none. Blocks while it symbolizes and encodes.
  virtual Result<EncodedWindow> Cut(const ProfileLimits& limits) noexcept = 0;
  // Ends the window. Again: kStopped.
  virtual Result<EncodedWindow> Stop(const ProfileLimits& limits) noexcept = 0;
  // Hz in force.
  virtual int rate() const noexcept = 0;
};

// Any thread.
class PPROF_EXPORT ProfileSource {
 public:
  virtual ~ProfileSource() = default;
  // `rate`: as in CpuProfileOptions.
  virtual Result<std::unique_ptr<ProfileWindow>> Open(int rate) noexcept = 0;
};

// CPU profiles of this process. Never destroyed.
PPROF_EXPORT ProfileSource& CpuProfileSource() noexcept;

// Declares the calling thread one of the libraries' own while it lives: it is not sampled, and its
// CPU time counts as Stats::library_cpu_ns instead of being missed in profiles. For the stack of a
// thread that was created with all signals blocked.
class PPROF_EXPORT LibraryThread {
 public:
  LibraryThread() noexcept;
  ~LibraryThread();
  LibraryThread(const LibraryThread&) = delete;
  LibraryThread& operator=(const LibraryThread&) = delete;
};

}  // namespace pprof
