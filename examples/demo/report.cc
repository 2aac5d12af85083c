#include "examples/demo/report.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "examples/demo/tracing.h"

namespace demo {
namespace {

double Ms(std::int64_t ns) { return static_cast<double>(ns) / 1e6; }

void PrintRow(const Operation& operation) {
  std::printf("%-16s %7zu %11.2f %11.2f %10.0f %9" PRId64 " %12.3f%s\n", operation.name.c_str(),
              operation.spans, Ms(operation.wall_p50_ns), Ms(operation.wall_max_ns),
              Ms(operation.profile_cpu_ns), operation.samples,
              operation.spans == 0
                  ? 0
                  : Ms(operation.profile_cpu_ns) / static_cast<double>(operation.spans),
              operation.sampled ? "" : "  not sampled: no ids, found by span_name");
}

void PrintOperations(const Summary& summary) {
  std::printf("\n%-16s %7s %11s %11s %10s %9s %12s\n", "operation", "spans", "p50 wall ms",
              "max wall ms", "CPU ms", "samples", "CPU ms/span");
  for (const Operation& operation : summary.operations) PrintRow(operation);
  std::printf("%-16s %7s %11s %11s %10.0f %9" PRId64
              " %12s  work that no request asked for: "
              "housekeeping, clients between requests\n",
              "(no span)", "-", "-", "-", Ms(summary.no_span.profile_cpu_ns),
              summary.no_span.samples, "-");
}

const SpanRecord* SlowestRoot(const Summary& summary) {
  const SpanRecord* slowest = nullptr;
  for (const SpanSummary& span : summary.spans) {
    if (span.record->parent != nullptr || !span.record->sampled) continue;
    if (slowest == nullptr || span.record->wall_ns > slowest->wall_ns) slowest = span.record;
  }
  return slowest;
}

void PrintSpan(const Summary& summary, const SpanRecord& span, int depth) {
  std::printf("  %*s%-*s %9.2f ms wall %9.2f ms CPU\n", 2 * depth, "", 30 - 2 * depth,
              span.name.c_str(), Ms(span.wall_ns), Ms(span.cpu_ns.load()));
  for (const SpanSummary& child : summary.spans) {
    if (child.record->parent == &span) PrintSpan(summary, *child.record, depth + 1);
  }
}

// Samples of the trace's spans: under scope root all carry the root's id, under scope all each its
// own.
std::vector<const pprof_reader::Sample*> SamplesOf(const Summary& summary, const SpanRecord& root) {
  std::vector<const pprof_reader::Sample*> samples;
  for (const pprof_reader::Sample& sample : summary.profile.samples) {
    if (sample.Label("trace_id") == root.trace_id) samples.push_back(&sample);
  }
  return samples;
}

void PrintSlowestTrace(const Options& options, const Summary& summary) {
  const SpanRecord* root = SlowestRoot(summary);
  if (root == nullptr) return;
  std::printf("\nslowest trace %s\n", root->trace_id.c_str());
  PrintSpan(summary, *root, 0);
  const auto samples = SamplesOf(summary, *root);
  std::int64_t count = 0;
  for (const pprof_reader::Sample* sample : samples) count += sample->count;
  std::printf("  where its CPU time went (%" PRId64 " samples of %.0f ms):\n", count,
              Ms(summary.profile.period_ns));
  PrintStackTree(samples);
  if (options.scope == otelpyroscope::Scope::kNone) return;
  std::printf("\nopen this very span:\n  go tool pprof -tagfocus='span_id=^%s$' %s\n",
              root->span_id.c_str(), options.profile_path.c_str());
}

void PrintTruth(const Options& options, const Summary& summary) {
  const std::int64_t clock = summary.totals.process_cpu_ns - summary.totals.library_cpu_ns;
  std::printf(
      "\nprocess CPU clock %.0f ms (without %.1f ms of the profiler's own thread), in the "
      "profile %.0f ms: ratio %.4f, samples lost %" PRId64 ", %" PRId64 " of %" PRId64
      " stacks complete\n",
      Ms(clock), Ms(summary.totals.library_cpu_ns), Ms(summary.profile_cpu_ns),
      static_cast<double>(summary.profile_cpu_ns) / static_cast<double>(clock),
      summary.totals.samples_lost, summary.totals.stacks_complete, summary.totals.stacks);
  const ExportCounts exported = ExportedSpans();
  std::printf("exported %" PRIu64 " spans, %" PRIu64 " of them with pyroscope.profile.id\n",
              exported.spans, exported.with_profile_id);
  std::printf("profile: %s\n", options.profile_path.c_str());
}

}  // namespace

void PrintReport(const Options& options, const Summary& summary) {
  PrintOperations(summary);
  PrintSlowestTrace(options, summary);
  PrintTruth(options, summary);
}

}  // namespace demo
