#include "src/pprof/view/document.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "src/pprof/spans/hex.h"
#include "src/pprof/view/json_writer.h"
#include "src/pprof/view/sample_tables.h"
#include "src/pprof/view/stats_words.h"

namespace pprof::view {
namespace {

using spans::Hex;
using spans::Record;

void PutNumbers(JsonWriter& json, const Numbers& numbers) {
  json.BeginArray();
  for (const std::uint32_t number : numbers) json.Number(number);
  json.EndArray();
}

template <class A, class B>
void PutPair(JsonWriter& json, const std::pair<A, B>& pair) {
  json.BeginArray();
  json.Number(pair.first);
  json.Number(pair.second);
  json.EndArray();
}

template <class Rows, class F>
void PutRows(JsonWriter& json, std::string_view key, const Rows& rows, F&& put) {
  json.Key(key);
  json.BeginArray();
  for (const auto* row : rows) put(*row);
  json.EndArray();
}

class Writer {
 public:
  explicit Writer(const DocumentParts& parts) : parts_(parts) {
    for (const auto& window : parts.windows) tables_.Add(*window);
    origin_ = parts.now_ns;
    for (const auto& window : parts.windows) origin_ = std::min(origin_, window->time_ns);
    if (parts.spans != nullptr) {
      parts.spans->ForEach(
          [this](const Record& span) { origin_ = std::min(origin_, span.system_ns); });
    }
  }

  std::string Run() {
    json_.BeginObject();
    PutHead();
    PutSamples();
    if (parts_.spans != nullptr) {
      PutSpans(*parts_.spans);
      PutOperations(*parts_.spans);
    }
    PutStats();
    PutTables();  // last: everything before adds to them
    json_.EndObject();
    return json_.Take();
  }

 private:
  void Field(std::string_view key, std::int64_t value) {
    json_.Key(key);
    json_.Number(value);
  }
  void Field(std::string_view key, std::string_view value) {
    json_.Key(key);
    json_.String(value);
  }

  void PutHead() {
    Field("version", 1);
    Field("origin_ns", std::to_string(origin_));
    Field("service", parts_.service);
    json_.Key("process");
    json_.BeginObject();
    Field("pid", parts_.pid);
    Field("command", parts_.command);
    json_.EndObject();
    Field("generated_ns", parts_.now_ns - origin_);
    json_.Key("live");
    json_.Bool(parts_.live);
    PutProfile();
    json_.Key("notes");
    json_.BeginArray();
    for (const std::string& note : parts_.notes) json_.String(note);
    json_.EndArray();
    if (!parts_.grafana.empty()) PutLinks();
  }

  void PutLinks() {
    json_.Key("links");
    json_.BeginObject();
    Field("grafana", parts_.grafana);
    Field("grafana_datasource", parts_.grafana_datasource);
    json_.EndObject();
  }

  void PutProfile() {
    json_.Key("profile");
    json_.BeginObject();
    const Windows& windows = parts_.windows;
    const std::int64_t start = windows.empty() ? parts_.now_ns : windows.front()->time_ns;
    std::int64_t duration = 0;
    for (const auto& window : windows) duration += window->duration_ns;
    Field("start_ns", start - origin_);
    Field("duration_ns", duration);
    Field("period_ns", windows.empty() ? 0 : windows.back()->period_ns);
    json_.EndObject();
  }

  void PutSamples() {
    json_.Key("samples");
    json_.BeginArray();
    for (const auto& [key, value] : tables_.samples()) {
      json_.BeginArray();
      json_.Number(key.stack);
      json_.Number(key.span);
      json_.Number(key.name);
      json_.Number(key.trace);
      json_.Number(value.count);
      json_.Number(value.cpu_ns);
      json_.Number(key.labels);
      json_.EndArray();
      SampleValue& named = by_name_[key.name];
      named.count += value.count;
      named.cpu_ns += value.cpu_ns;
    }
    json_.EndArray();
  }

  void PutSpan(const Record& span) {
    std::vector<SampleTables::Pair> attributes;
    span.ForEachAttribute([&](std::string_view key, std::string_view value) {
      attributes.emplace_back(tables_.String(key), tables_.String(value));
    });
    json_.BeginArray();
    json_.Number(tables_.Id(Hex(span.span_id)));
    json_.Number(tables_.Id(Hex(span.trace_id)));
    json_.Number(tables_.Id(Hex(span.parent_id)));
    json_.Number(tables_.String(span.Name()));
    json_.Number(span.system_ns - origin_);
    json_.Number(span.duration_ns);
    json_.Number(static_cast<int>(span.status));
    json_.Number(span.sampled);
    json_.Number(span.local_root);
    json_.Number(tables_.Labels(attributes));
    json_.Number(tables_.Id(Hex(span.label_span_id)));
    json_.EndArray();
  }

  void PutSpans(const spans::SpanStore& store) {
    json_.Key("spans");
    json_.BeginArray();
    store.ForEach([this](const Record& span) { PutSpan(span); });
    json_.EndArray();
    json_.Key("dropped");
    json_.BeginObject();
    Field("spans", static_cast<std::int64_t>(store.dropped()));
    Field("not_recorded", static_cast<std::int64_t>(spans::NotRecorded()));
    json_.EndObject();
  }

  void PutOperations(const spans::SpanStore& store) {
    json_.Key("operations");
    json_.BeginArray();
    for (const auto& operation : store.operations()) {
      const std::uint32_t name = tables_.String(operation->name);
      const auto found = by_name_.find(name);
      const SampleValue cpu = found == by_name_.end() ? SampleValue() : found->second;
      json_.BeginArray();
      json_.Number(name);
      json_.Number(static_cast<std::int64_t>(operation->latency.total()));
      json_.Number(static_cast<std::int64_t>(operation->errors));
      json_.Number(operation->latency.Quantile(0.50));
      json_.Number(operation->latency.Quantile(0.95));
      json_.Number(operation->latency.max());
      json_.Number(cpu.cpu_ns);
      json_.Number(cpu.count);
      json_.EndArray();
    }
    json_.EndArray();
  }

  void PutStats() {
    json_.Key("stats");
    json_.BeginArray();
    for (const CounterWords& counter : kCounters) {
      json_.BeginArray();
      json_.String(counter.name);
      json_.Number(static_cast<std::int64_t>(parts_.stats.*counter.value));
      json_.String(counter.words);
      json_.EndArray();
    }
    json_.EndArray();
  }

  void PutTables() {
    PutRows(json_, "functions", tables_.functions().rows(),
            [this](auto& row) { PutPair(json_, row); });
    PutRows(json_, "frames", tables_.frames().rows(), [this](auto& row) { PutPair(json_, row); });
    PutRows(json_, "locations", tables_.locations().rows(),
            [this](auto& row) { PutNumbers(json_, row); });
    PutRows(json_, "stacks", tables_.stacks().rows(),
            [this](auto& row) { PutNumbers(json_, row); });
    PutRows(json_, "label_sets", tables_.label_sets().rows(), [this](auto& row) {
      json_.BeginArray();
      for (const SampleTables::Pair& label : row) PutPair(json_, label);
      json_.EndArray();
    });
    PutRows(json_, "ids", tables_.ids().rows(), [this](auto& row) { json_.String(row); });
    json_.Key("strings");
    json_.BeginArray();
    for (const std::string_view text : tables_.strings()) json_.String(text);
    json_.EndArray();
  }

  const DocumentParts& parts_;
  SampleTables tables_;
  JsonWriter json_;
  std::int64_t origin_ = 0;
  std::map<std::uint32_t, SampleValue> by_name_;
};

}  // namespace

std::string WriteDocument(const DocumentParts& parts) { return Writer(parts).Run(); }

}  // namespace pprof::view
