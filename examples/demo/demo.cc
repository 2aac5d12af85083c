// The whole promise in one program: a traced C++ service, every CPU sample labelled with its span,
// and the flame graph of the slowest span. Prints what a person wants to know, leaves a pprof file
// and a summary for programs.

#include <pprof/profile.h>
#include <pprof/span_watch.h>
#include <pprof/stats.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include "examples/demo/accounting.h"
#include "examples/demo/options.h"
#include "examples/demo/push.h"
#include "examples/demo/report.h"
#include "examples/demo/service.h"
#include "examples/demo/summary.h"
#include "examples/demo/tracing.h"

namespace {

int g_seconds = 0;

// One line that renews itself on a terminal, one line a second elsewhere.
void ShowProgress(double seconds, std::size_t spans) {
  static int shown = 0;
  const bool terminal = isatty(2) != 0;
  if (!terminal && static_cast<int>(seconds) == shown) return;
  shown = static_cast<int>(seconds);
  std::fprintf(stderr, "%srunning a traced service: %2d of %d s, %zu spans%s", terminal ? "\r" : "",
               shown < g_seconds ? shown : g_seconds, g_seconds, spans, terminal ? "  " : "\n");
}

// Spans beside their samples, for a page. Nothing is recorded unless a path is given.
class SpansFile {
 public:
  explicit SpansFile(const std::string& path) : path_(path) {
    if (path.empty()) return;
    pprof::SpanWatchOptions options;
    options.service = demo::kServiceName;
    auto watch = pprof::WatchSpans(options);
    status_ = watch.status();
    if (watch.ok()) watch_.emplace(std::move(*watch));
  }
  // Empty: done, or not asked for. Ends the watch, whose samples would otherwise still be on their
  // way when the statistics are read.
  std::string Write() {
    if (watch_.has_value()) status_ = watch_->WriteDocument(path_);
    watch_.reset();
    return status_.message;
  }

 private:
  const std::string path_;
  pprof::Status status_;
  std::optional<pprof::SpanWatch> watch_;
};

int Fail(const char* what, const std::string& why) {
  std::fprintf(stderr, "demo: %s: %s\n", what, why.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  demo::Options options;
  if (!demo::ParseOptions(argc, argv, &options)) return 2;
  g_seconds = options.seconds;

  demo::InitTracing(options);  // one line of it wraps the TracerProvider
  if (!demo::StartPush()) return 1;
  const std::uint64_t library_before = pprof::ReadStats().library_cpu_ns;
  const std::int64_t cpu_before = demo::ProcessCpuNs();
  auto profile = pprof::StartCpuProfile(options.profile_path);
  if (!profile.ok()) return Fail("no profile", profile.status().message);

  SpansFile spans(options.spans_path);

  demo::RunService(std::chrono::seconds(options.seconds), ShowProgress);

  demo::Totals totals;
  totals.process_cpu_ns = demo::ProcessCpuNs() - cpu_before;
  totals.library_cpu_ns =
      static_cast<std::int64_t>(pprof::ReadStats().library_cpu_ns - library_before);
  const pprof::Status stopped = profile->Stop();
  demo::StopPush();  // pushed windows begin before the file's and end after it
  if (isatty(2) != 0) std::fprintf(stderr, "\n");
  if (!stopped.ok()) return Fail("the profile was not written", stopped.message);
  if (const std::string why = spans.Write(); !why.empty()) return Fail("no spans file", why);
  const pprof::Stats stats = pprof::ReadStats();
  totals.samples_lost = static_cast<std::int64_t>(stats.samples_lost);
  totals.stacks = static_cast<std::int64_t>(stats.deliveries);
  totals.stacks_complete = static_cast<std::int64_t>(stats.stacks_complete);

  demo::Summary summary;
  const std::string error = demo::Summarize(options, totals, &summary);
  if (!error.empty()) return Fail("the profile cannot be read back", error);
  demo::PrintReport(options, summary);
  if (!demo::WriteSummary(options.summary_path, summary)) {
    return Fail("no summary", options.summary_path + " cannot be written");
  }
  return 0;
}
