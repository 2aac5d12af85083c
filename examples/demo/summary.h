// Brings the demo's own books and the profile together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "examples/demo/accounting.h"
#include "examples/demo/options.h"
#include "tests/support/pprof_reader.h"

namespace demo {

// Measured around the sampling, by clocks that the profiler does not own.
struct Totals {
  std::int64_t process_cpu_ns = 0;
  std::int64_t library_cpu_ns = 0;  // of the profiler's own thread, part of the above
  std::int64_t samples_lost = 0;
  std::int64_t stacks = 0;           // one a signal
  std::int64_t stacks_complete = 0;  // of those: reached the thread's entry
};

// One row of the table.
struct Operation {
  std::string name;
  std::size_t spans = 0;
  std::int64_t wall_p50_ns = 0;
  std::int64_t wall_max_ns = 0;
  std::int64_t profile_cpu_ns = 0;
  std::int64_t samples = 0;
  bool sampled = true;
};

struct SpanSummary {
  const SpanRecord* record = nullptr;
  std::optional<std::int64_t> profile_cpu_ns;  // none: no sample can carry this span's id
};

struct Summary {
  Totals totals;
  std::int64_t profile_cpu_ns = 0;
  std::int64_t samples = 0;
  std::vector<Operation> operations;  // of local roots
  Operation no_span;
  std::vector<SpanSummary> spans;
  pprof_reader::Profile profile;
};

// Reads the profile back. Returns why it cannot, or an empty string.
std::string Summarize(const Options& options, const Totals& totals, Summary* summary);

// For programs: JSON. False: the file cannot be written.
bool WriteSummary(const std::string& path, const Summary& summary);

}  // namespace demo
