#include "examples/demo/summary.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

namespace demo {
namespace {

bool IsRoot(const SpanRecord& span) { return span.parent == nullptr; }

bool CarriesOwnId(const Options& options, const SpanRecord& span) {
  if (!span.sampled) return false;
  if (options.scope == otelpyroscope::Scope::kAllSpans) return true;
  return options.scope == otelpyroscope::Scope::kRootSpan && IsRoot(span);
}

void AddSpans(const Options& options, Summary* summary) {
  std::map<std::string, std::int64_t> cpu_by_id;
  for (const pprof_reader::Sample& sample : summary->profile.samples) {
    const std::string id(sample.Label("span_id"));
    if (!id.empty()) cpu_by_id[id] += sample.cpu_ns;
  }
  for (const SpanRecord& record : GlobalLedger().spans()) {
    SpanSummary span;
    span.record = &record;
    if (CarriesOwnId(options, record)) span.profile_cpu_ns = cpu_by_id[record.span_id];
    summary->spans.push_back(span);
  }
}

Operation MakeOperation(const std::string& name, std::vector<std::int64_t> walls) {
  Operation operation;
  operation.name = name;
  operation.spans = walls.size();
  std::sort(walls.begin(), walls.end());
  operation.wall_p50_ns = walls[walls.size() / 2];
  operation.wall_max_ns = walls.back();
  return operation;
}

void AddOperations(Summary* summary) {
  std::map<std::string, std::vector<std::int64_t>> walls;
  std::map<std::string, bool> sampled;
  for (const SpanRecord& record : GlobalLedger().spans()) {
    if (!IsRoot(record)) continue;
    walls[record.name].push_back(record.wall_ns);
    sampled[record.name] = record.sampled;
  }
  std::map<std::string, Operation> operations;
  for (const auto& [name, values] : walls) {
    operations[name] = MakeOperation(name, values);
    operations[name].sampled = sampled[name];
  }
  summary->no_span.name = "(no span)";
  for (const pprof_reader::Sample& sample : summary->profile.samples) {
    const auto known = operations.find(std::string(sample.Label("span_name")));
    Operation& operation = known == operations.end() ? summary->no_span : known->second;
    operation.profile_cpu_ns += sample.cpu_ns;
    operation.samples += sample.count;
  }
  for (const auto& entry : operations) summary->operations.push_back(entry.second);
  std::sort(
      summary->operations.begin(), summary->operations.end(),
      [](const Operation& a, const Operation& b) { return a.profile_cpu_ns > b.profile_cpu_ns; });
}

}  // namespace

std::string Summarize(const Options& options, const Totals& totals, Summary* summary) {
  std::string error;
  auto profile = pprof_reader::ReadFile(options.profile_path, &error);
  if (!profile.has_value()) return error;
  summary->totals = totals;
  summary->profile = std::move(*profile);
  for (const pprof_reader::Sample& sample : summary->profile.samples) {
    summary->samples += sample.count;
    summary->profile_cpu_ns += sample.cpu_ns;
  }
  AddSpans(options, summary);
  AddOperations(summary);
  return "";
}

bool WriteSummary(const std::string& path, const Summary& summary) {
  nlohmann::json spans = nlohmann::json::array();
  for (const SpanSummary& span : summary.spans) {
    const SpanRecord& record = *span.record;
    nlohmann::json entry = {{"trace_id", record.trace_id},         {"span_id", record.span_id},
                            {"root_span_id", record.root_span_id}, {"name", record.name},
                            {"sampled", record.sampled},           {"wall_ns", record.wall_ns},
                            {"cpu_ns", record.cpu_ns.load()},      {"profile_cpu_ns", nullptr}};
    if (span.profile_cpu_ns.has_value()) entry["profile_cpu_ns"] = *span.profile_cpu_ns;
    spans.push_back(std::move(entry));
  }
  const nlohmann::json document = {{"process_cpu_ns", summary.totals.process_cpu_ns},
                                   {"library_cpu_ns", summary.totals.library_cpu_ns},
                                   {"profile_cpu_ns", summary.profile_cpu_ns},
                                   {"samples", summary.samples},
                                   {"samples_lost", summary.totals.samples_lost},
                                   {"stacks", summary.totals.stacks},
                                   {"stacks_complete", summary.totals.stacks_complete},
                                   {"spans", std::move(spans)}};
  std::ofstream out(path);
  out << document.dump(1) << '\n';
  return static_cast<bool>(out.flush());
}

}  // namespace demo
