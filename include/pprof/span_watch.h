// The recent spans of this process beside their CPU profile: what the page /debug/spans shows
// (pprof_http), as data.
//
//   auto watch = pprof::WatchSpans();             // from now on spans are recorded and the process
//   is profiled
//   ...
//   watch->WriteDocument("spans.json");           // for otel-profiling-view --spans
//
// Spans come from a tracing bridge (otelpyroscope). While nobody watches, nothing is recorded.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include <pprof/export.h>
#include <pprof/status.h>

namespace pprof {

struct SpanWatchOptions {
  std::string service;  // shown as such; empty: OTEL_SERVICE_NAME, else the program's name
  std::size_t max_span_bytes = std::size_t{16} << 20;     // of recorded spans; at least 1 MiB
  std::size_t max_profile_bytes = std::size_t{32} << 20;  // of profiles that are kept
  std::chrono::seconds keep = std::chrono::minutes(5);    // profiles of the last ...; 10 s to 1 h
  int rate = 100;                                         // Hz, as in CpuProfileOptions
  // Where the page links each span to: a Grafana, http(s)://host[:port][/path], and the uid of its
  // Pyroscope data source. Empty: OTEL_PROFILING_GRAFANA_URL, else no link;
  // OTEL_PROFILING_GRAFANA_DATASOURCE, else "pyroscope". What is neither is left out, with a
  // warning.
  std::string grafana;
  std::string grafana_datasource;
};

enum class SpanProfileFormat { kText, kFolded, kPprof };

// Spans are recorded, and windows of the CPU profile are kept, while at least one watch lives; all
// share what the first one asked for. When memory is short the oldest and most ordinary spans go
// first: whole traces, kept by the rarest operation and latency in them. Move-only; destruction
// ends it. Members: any thread. Not async-signal-safe. In a fork child every call gives kStopped.
class PPROF_EXPORT SpanWatch {
 public:
  class Impl;

  explicit SpanWatch(std::shared_ptr<Impl> impl) noexcept;  // used by WatchSpans
  SpanWatch(SpanWatch&&) noexcept;
  SpanWatch& operator=(SpanWatch&&) noexcept;
  ~SpanWatch();

  // The spans document (docs/spans-document.md): JSON in UTF-8 without any '<'. Blocks: symbolizes
  // what is new. `gzip`: as one gzip member.
  Result<std::string> Document(bool gzip = false) const noexcept;
  // The same, to a file, which is replaced. kIo: why not.
  Status WriteDocument(const std::string& path) const noexcept;
  // The samples of one span, by its 16 hex digits: a table and stacks, folded stacks, or gzip
  // pprof. For a span that shares its local root's label, the root's. kInvalidArgument: no such id.
  // Empty when it has no samples.
  Result<std::string> SpanProfile(const std::string& span_id,
                                  SpanProfileFormat format) const noexcept;

 private:
  std::shared_ptr<Impl> impl_;
};

// kInvalidArgument: options out of range; kUnavailable: no memory, no thread, or no profile can
// run. Any thread.
PPROF_EXPORT Result<SpanWatch> WatchSpans(SpanWatchOptions options = {}) noexcept;
// The running watch, if there is one: kStopped when nobody watches.
PPROF_EXPORT Result<SpanWatch> RunningSpanWatch() noexcept;

}  // namespace pprof
