// Puts the loads of scenarios.h on the profiler and compares what it costs with the budgets.
//
//   load [--quick] [--json FILE] [SCENARIO...]
//
// Each scenario runs twice, each time in a process of its own: without a profile (and with the
// SDK alone), then with one. --quick: a few seconds each and a tenth of threads and spans, and CPU
// shares are not judged, since this is a test that runs beside others. Exit status 1 if a budget is
// missed or a load was not reached.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "bench/load/measure.h"

namespace {

using load::Measured;
using load::Scenario;

constexpr double kQuickSeconds = 3;
constexpr double kQuickPart = 0.1;
// The handler's budget. What it costs here cannot be told from the host's time, so its share is
// computed with this.
constexpr double kHandlerSeconds = 3e-6;
constexpr double kMemoryKib = 32 * 1024;
constexpr double kMemoryKibThread = 20;

struct Line {
  std::string name;
  double value;
  const char* unit;
  double budget;  // NaN: none
  bool at_least;  // the budget is a lower bound
  bool missed() const { return at_least ? value < budget : value > budget; }
};

double Busy(const Measured& on) { return std::max(on.wall_s, on.cpu_s); }

// The budgets: one busy core at least, 0.1 % of each at 100 Hz; 32 MiB and 20 KiB a thread; totals
// within 1 % or a period a live thread; 99.9 % of stacks complete.
std::vector<Line> Judge(const Scenario& scenario, const Measured& off, const Measured& on) {
  const auto deliveries = static_cast<double>(on.stats.deliveries);
  const auto samples = static_cast<double>(on.stats.samples);
  const double cost = on.library_s + deliveries * kHandlerSeconds;
  const auto threads = static_cast<double>(on.done.live_threads);
  const double off_by = std::fabs(on.profile_s - on.cpu_s);
  const double none = std::nan("");
  std::vector<Line> lines = {
      {"own_threads_cpu", 100 * on.library_s / Busy(on), "%", none, false},
      {"profiling_cpu", 100 * cost / Busy(on), "%", 0.1 * scenario.rate / 100, false},
      {"host_cpu", on.cpu_s, "s", none, false},
      {"memory", static_cast<double>(on.peak_kib - off.peak_kib) / 1024, "MiB",
       (kMemoryKib + kMemoryKibThread * threads) / 1024, false},
      {"memory_with_symbols", static_cast<double>(on.end_kib - off.end_kib) / 1024, "MiB", none,
       false},
      {"samples", samples, "samples", none, false},
      {"samples_lost", static_cast<double>(on.stats.samples_lost), "samples", none, false},
      {"stacks_complete", 100 * static_cast<double>(on.stats.stacks_complete) / deliveries, "%",
       99.9, true},
      {"totals", on.profile_s / on.cpu_s, "ratio", none, false},
      {"totals_with_loss", (on.profile_s + on.loss_s) / on.cpu_s, "ratio", none, false},
      {"totals_off_by", off_by, "s", std::max(0.01 * on.cpu_s, on.period_s * threads), false},
      {"timers_refused", static_cast<double>(on.stats.timers_refused), "timers", 0, false},
      {"labels_dropped", static_cast<double>(on.stats.labels_dropped), "labels", 0, false},
      {"over_memory_cap", static_cast<double>(on.stats.samples_over_memory_cap), "samples", none,
       false},
  };
  if (on.done.wanted > 0) {
    lines.push_back(
        {"load_reached", static_cast<double>(on.done.units) / on.done.wanted, "ratio", 0.95, true});
    lines.push_back({"load_reached_without", static_cast<double>(off.done.units) / off.done.wanted,
                     "ratio", none, true});
  }
  return lines;
}

struct Options {
  bool quick = false;
  const char* json = nullptr;
  std::vector<const Scenario*> scenarios;
};

bool Parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--quick") == 0) {
      options.quick = true;
    } else if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
      options.json = argv[++i];
    } else if (const Scenario* scenario = load::Find(argv[i])) {
      options.scenarios.push_back(scenario);
    } else {
      std::fprintf(stderr, "usage: load [--quick] [--json FILE] [SCENARIO...]; scenarios:\n");
      for (const Scenario& each : load::Scenarios()) {
        std::fprintf(stderr, "  %-16s %s\n", each.name, each.what);
      }
      return false;
    }
  }
  if (options.scenarios.empty()) {
    for (const Scenario& each : load::Scenarios()) options.scenarios.push_back(&each);
  }
  return true;
}

void Print(const Scenario& scenario, std::vector<Line> lines, bool quick, std::string& json,
           std::vector<std::string>& missed) {
  for (Line& line : lines) {
    if (quick && line.name == "profiling_cpu") line.budget = std::nan("");
    const std::string name = std::string(scenario.name) + "/" + line.name;
    char budget[32] = "null";
    if (!std::isnan(line.budget)) std::snprintf(budget, sizeof(budget), "%.6g", line.budget);
    std::printf("%-40s %12.4f %-8s %s%s%s\n", name.c_str(), line.value, line.unit,
                std::isnan(line.budget) ? "" : (line.at_least ? "at least " : "at most "),
                std::isnan(line.budget) ? "" : budget, line.missed() ? "  MISSED" : "");
    if (line.missed()) missed.push_back(name);
    char text[320];
    std::snprintf(text, sizeof(text),
                  "%s\n {\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"budget\": %s, "
                  "\"missed\": %s}",
                  json.empty() ? "" : ",", name.c_str(), line.value, line.unit, budget,
                  line.missed() ? "true" : "false");
    json += text;
  }
  std::fflush(stdout);
}

bool WriteJson(const char* path, const std::string& json) {
  std::FILE* file = std::fopen(path, "w");
  if (file == nullptr) return false;
  std::fprintf(file, "[%s\n]\n", json.c_str());
  return std::fclose(file) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!Parse(argc, argv, options)) return 2;
  std::string json;
  std::vector<std::string> missed;
  for (const Scenario* scenario : options.scenarios) {
    load::Size size;
    size.seconds = options.quick && !scenario->counted ? kQuickSeconds : scenario->seconds;
    if (options.quick) size.part = kQuickPart;
    std::printf("%s: %s, %d Hz, %g s%s\n", scenario->name, scenario->what, scenario->rate,
                size.seconds, options.quick ? ", a tenth of it" : "");
    std::fflush(stdout);
    size.bridge = false;
    const Measured off = load::MeasureInChild(*scenario, size, 0);
    size.bridge = true;
    const Measured on = load::MeasureInChild(*scenario, size, scenario->rate);
    if (!off.valid || !on.valid) {
      std::printf("%s did not end well\n", scenario->name);
      missed.push_back(scenario->name);
      continue;
    }
    Print(*scenario, Judge(*scenario, off, on), options.quick, json, missed);
  }
  if (options.json != nullptr && !WriteJson(options.json, json)) {
    std::perror(options.json);
    return 2;
  }
  for (const std::string& name : missed) std::printf("budget missed: %s\n", name.c_str());
  return missed.empty() ? 0 : 1;
}
