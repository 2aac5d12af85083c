// A program that pushes its profiles, driven by the tests of the push client: reads commands from
// standard input, one JSON object a line, and answers each with one line.
//
//   {"do": "start", "config": {...}}            pyroscope::Start
//   {"do": "work", "threads": 1, ...}           serve requests (see WorkOptions)
//   {"do": "idle"}                              stop serving
//   {"do": "flush" | "stop", "timeout_ms": N}
//   {"do": "tags", "tags": {...}}
//   {"do": "destroy"}                           the Profiler, without Stop
//   {"do": "step_clock", "seconds": N}          needs clock_shim
//   {"do": "serve"}                             pprof_http::Serve, and the CPU clock is recorded
//   {"do": "timeline"}                          what was recorded: [[wall ns, CPU ns], ...]
//   {"do": "report"}                            counters, log lines, latency, memory
//   {"do": "exit", "how": "return" | "exit" | "_exit"}
//
// Text that is no UTF-8 travels as hexadecimal ("names_hex", "labels_hex").

#include <dlfcn.h>
#include <pprof/log.h>
#include <pprof/stats.h>
#include <pprof_http/pprof_http.h>
#include <pyroscope/pyroscope.h>
#include <pyroscope/stats.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/push/timeline.h"
#include "tests/e2e/push/work.h"

namespace {

using nlohmann::json;
using std::chrono::milliseconds;

std::mutex g_log_mutex;
json g_log = json::array();  // guarded by g_log_mutex

void KeepLine(pprof::LogLevel level, std::string_view line) {
  static const auto start = std::chrono::steady_clock::now();
  const auto at =
      std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
  const std::lock_guard<std::mutex> lock(g_log_mutex);
  g_log.push_back({{"level", static_cast<int>(level)}, {"line", line}, {"at_ms", at.count()}});
}

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

// A field of /proc/self/status in KiB, such as VmHWM.
long StatusKib(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    long value = 0;
    if (word == field + ":" && status >> value) return value;
  }
  return -1;
}

class Driver {
 public:
  json Do(const json& command);
  bool ended() const { return ended_; }

 private:
  // Each answers one command.
  json Start(const json& config);
  json Work(const json& options);
  json Report();
  json Step(const json& command);
  json Serve();
  json RecordedTimeline();
  json Exit(const std::string& how);

  push_driver::Work work_;
  push_driver::Timeline timeline_;
  std::optional<pyroscope::Profiler> profiler_;
  std::optional<pprof_http::Server> server_;
  bool ended_ = false;
};

json Answer(const pprof::Status& status, std::chrono::steady_clock::time_point since) {
  const auto took =
      std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - since);
  return {{"ok", status.ok()},
          {"code", static_cast<int>(status.code)},
          {"message", status.message},
          {"took_ms", took.count()}};
}

std::map<std::string, std::string> Strings(const json& fields, const char* plain, const char* hex) {
  std::map<std::string, std::string> map;
  const json plain_ones = fields.value(plain, json::object());
  const json hex_ones = fields.value(hex, json::object());
  for (const auto& [name, value] : plain_ones.items()) map[name] = value;
  for (const auto& [name, value] : hex_ones.items()) map[FromHex(name)] = FromHex(value);
  return map;
}

json Driver::Start(const json& fields) {
  const auto since = std::chrono::steady_clock::now();
  pyroscope::Config config;
  config.application_name = fields.value("application_name", "");
  config.server_address = fields.value("server_address", "");
  config.tags = Strings(fields, "tags", "tags_hex");
  config.http_headers = Strings(fields, "http_headers", "http_headers_hex");
  config.basic_auth_user = fields.value("basic_auth_user", "");
  config.basic_auth_password = fields.value("basic_auth_password", "");
  config.tenant_id = fields.value("tenant_id", "");
  config.ca_file = fields.value("ca_file", "");
  if (fields.contains("upload_interval_ms")) {
    config.upload_interval = milliseconds(fields["upload_interval_ms"].get<int>());
  }
  config.sample_rate = fields.value("sample_rate", config.sample_rate);
  auto started = pyroscope::Start(config);
  if (started.ok()) profiler_.emplace(std::move(*started));
  json answer = Answer(started.status(), since);
  answer["running"] = profiler_ && profiler_->running();
  return answer;
}

json Driver::Work(const json& fields) {
  push_driver::WorkOptions options;
  options.threads = fields.value("threads", options.threads);
  options.cpu_us = fields.value("cpu_us", options.cpu_us);
  options.idle_us = fields.value("idle_us", options.idle_us);
  options.distinct_names = fields.value("distinct_names", options.distinct_names);
  options.unique_label_bytes = fields.value("unique_label_bytes", options.unique_label_bytes);
  const json names = fields.value("names_hex", json::array());
  const json labels = fields.value("labels_hex", json::array());
  for (const auto& name : names) {
    options.names.push_back(FromHex(name));
    options.distinct_names = 0;
  }
  for (const auto& pair : labels) {
    options.labels.emplace_back(FromHex(pair[0]), FromHex(pair[1]));
  }
  work_.Start(options);
  return {{"ok", true}};
}

json ClientStats() {
  const pyroscope::Stats s = pyroscope::ReadStats();
  return {{"windows", s.windows},
          {"windows_failed", s.windows_failed},
          {"taken", s.profiles_taken},
          {"accepted", s.profiles_accepted},
          {"lost", s.profiles_lost},
          {"unknown", s.profiles_unknown},
          {"queued", s.profiles_queued},
          {"lost_refused", s.profiles_lost_refused},
          {"lost_given_up", s.profiles_lost_given_up},
          {"lost_queue_full", s.profiles_lost_queue_full},
          {"lost_unsent", s.profiles_lost_unsent},
          {"samples_taken", s.samples_taken},
          {"samples_accepted", s.samples_accepted},
          {"samples_lost", s.samples_lost},
          {"samples_unknown", s.samples_unknown},
          {"attempts", s.attempts},
          {"retries", s.retries},
          {"queue_bytes", s.queue_bytes},
          {"splits", s.splits},
          {"span_names_merged", s.span_names_merged},
          {"labels_dropped", s.labels_dropped}};
}

json Driver::Report() {
  const push_driver::Latency latency = work_.latency();
  json report = {{"ok", true},
                 {"latency",
                  {{"requests", latency.requests},
                   {"worst_blocked_us", latency.worst_blocked_us},
                   {"worst_wall_us", latency.worst_wall_us},
                   {"blocked_over_10ms", latency.blocked_over_10ms}}},
                 {"spans", work_.spans()},
                 {"deliveries", pprof::ReadStats().deliveries},
                 {"peak_kib", StatusKib("VmHWM")},
                 {"threads", StatusKib("Threads")}};
  report["client"] = ClientStats();
  const std::lock_guard<std::mutex> lock(g_log_mutex);
  report["log"] = g_log;
  return report;
}

json Driver::Step(const json& command) {
  // The shim is in the process only when it was preloaded.
  const auto step = reinterpret_cast<void (*)(long long)>(dlsym(RTLD_DEFAULT, "clock_shim_step"));
  if (step == nullptr) return {{"ok", false}, {"message", "clock_shim is not loaded"}};
  step(command.at("seconds").get<long long>() * 1'000'000'000);
  return {{"ok", true}};
}

json Driver::Serve() {
  auto server = pprof_http::Serve({"127.0.0.1:0"});
  if (!server.ok()) return {{"ok", false}, {"message", server.status().message}};
  server_.emplace(std::move(*server));
  timeline_.Start();
  return {{"ok", true}, {"address", server_->address()}};
}

json Driver::RecordedTimeline() {
  json points = json::array();
  for (const auto& point : timeline_.Stop()) points.push_back({point.wall_ns, point.cpu_ns});
  return {{"ok", true}, {"points", points}};
}

json Driver::Exit(const std::string& how) {
  if (how == "exit") std::exit(0);
  if (how == "_exit") _exit(0);
  ended_ = true;
  return {{"ok", true}};
}

json Driver::Do(const json& command) {
  const auto since = std::chrono::steady_clock::now();
  const std::string what = command.at("do");
  const milliseconds timeout(command.value("timeout_ms", 5000));
  if (what == "start") return Start(command.value("config", json::object()));
  if (what == "work") return Work(command);
  if (what == "report") return Report();
  if (what == "step_clock") return Step(command);
  if (what == "serve") return Serve();
  if (what == "timeline") return RecordedTimeline();
  if (what == "exit") return Exit(command.at("how"));
  if (what == "idle") {
    work_.Stop();
    return {{"ok", true}};
  }
  if (!profiler_) return {{"ok", false}, {"message", "nothing was started"}};
  if (what == "stop") return Answer(profiler_->Stop(timeout), since);
  if (what == "flush") return Answer(profiler_->Flush(timeout), since);
  if (what == "tags")
    return Answer(profiler_->SetTags(Strings(command, "tags", "tags_hex")), since);
  if (what == "destroy") {
    profiler_.reset();
    return Answer({}, since);
  }
  return {{"ok", false}, {"message", "unknown command " + what}};
}

}  // namespace

int main() {
  pprof::SetLogHandler(KeepLine);
  Driver driver;
  for (std::string line; !driver.ended() && std::getline(std::cin, line);) {
    const json answer = driver.Do(json::parse(line));
    std::cout << answer.dump(-1, ' ', true, json::error_handler_t::replace) << std::endl;
  }
  return 0;
}
