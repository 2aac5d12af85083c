#include "tools/view/document.h"

#include <cinttypes>
#include <cstdio>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "view_page.h"

namespace view {
namespace {

using nlohmann::json;

// Gives each distinct key a number in the order of their coming, and writes the row of a new one.
template <typename Key>
class Table {
 public:
  template <typename MakeRow>
  std::size_t Put(const Key& key, MakeRow&& make_row) {
    const auto [place, fresh] = numbers_.emplace(key, rows_.size());
    if (fresh) rows_.push_back(make_row());
    return place->second;
  }

  json Take() { return std::move(rows_); }

 private:
  std::map<Key, std::size_t> numbers_;
  json rows_ = json::array();
};

class Texts {
 public:
  explicit Texts(bool with_empty) {
    if (with_empty) Put("");
  }

  std::size_t Put(std::string_view text) {
    const auto [place, fresh] = numbers_.emplace(text, rows_.size());
    if (fresh) rows_.push_back(text);
    return place->second;
  }

  json Take() { return std::move(rows_); }

 private:
  std::unordered_map<std::string, std::size_t> numbers_;
  json rows_ = json::array();
};

class Converter {
 public:
  json Run(const pprof_reader::Profile& profile) {
    label_sets_.Put({}, [] { return json::array(); });
    for (const pprof_reader::Sample& sample : profile.samples) AddSample(sample);
    json document = {
        {"version", 1},
        {"origin_ns", std::to_string(profile.time_ns)},
        {"service", ""},
        {"process", {{"pid", 0}, {"command", Command(profile)}}},
        {"generated_ns", profile.duration_ns},
        {"live", false},
        {"profile",
         {{"start_ns", 0}, {"duration_ns", profile.duration_ns}, {"period_ns", profile.period_ns}}},
        {"spans", json::array()},
        {"stats", json::array()},
        {"dropped", json::object()},
        {"notes", profile.comments}};
    document["samples"] = std::move(samples_);
    document["strings"] = strings_.Take();
    document["functions"] = functions_.Take();
    document["frames"] = frames_.Take();
    document["locations"] = locations_.Take();
    document["stacks"] = stacks_.Take();
    document["ids"] = ids_.Take();
    document["label_sets"] = label_sets_.Take();
    return document;
  }

 private:
  using Numbers = std::vector<std::size_t>;

  // By the format's custom the first mapping is the program's.
  static std::string_view Command(const pprof_reader::Profile& profile) {
    return profile.mappings.empty() ? std::string_view() : profile.mappings.front().file;
  }

  static std::string NameOf(const pprof_reader::Frame& frame) {
    if (!frame.function.empty()) return std::string(frame.function);
    char address[24];
    std::snprintf(address, sizeof address, "0x%" PRIx64, frame.address);
    const std::string_view file = frame.module.substr(frame.module.rfind('/') + 1);
    return file.empty() ? std::string(address) : "[" + std::string(file) + "] " + address;
  }

  std::size_t PutFrame(const pprof_reader::Frame& frame) {
    const Numbers function = {strings_.Put(NameOf(frame)), strings_.Put(frame.file)};
    const std::size_t number = functions_.Put(function, [&] { return json(function); });
    const std::pair<std::size_t, std::int64_t> key = {number, frame.line < 0 ? 0 : frame.line};
    return frames_.Put(key, [&] { return json{key.first, key.second}; });
  }

  std::size_t PutStack(const std::vector<pprof_reader::Frame>& frames) {
    Numbers stack;
    Numbers location;
    for (const pprof_reader::Frame& frame : frames) {
      location.push_back(PutFrame(frame));
      if (frame.inlined) continue;
      stack.push_back(locations_.Put(location, [&] { return json(location); }));
      location.clear();
    }
    return stacks_.Put(stack, [&] { return json(stack); });
  }

  std::size_t PutLabels(const pprof_reader::Sample& sample) {
    std::vector<Numbers> set;
    for (const auto& [key, value] : sample.labels) {
      if (key == "span_id" || key == "trace_id" || key == "span_name") continue;
      set.push_back({strings_.Put(key), strings_.Put(value)});
    }
    return label_sets_.Put(set, [&] { return json(set); });
  }

  std::int64_t PutId(std::string_view id) {
    return id.empty() ? -1 : static_cast<std::int64_t>(ids_.Put(id));
  }

  void AddSample(const pprof_reader::Sample& sample) {
    const auto stack = PutStack(sample.frames);
    const auto span = PutId(sample.Label("span_id"));
    const auto trace = PutId(sample.Label("trace_id"));
    const auto name = strings_.Put(sample.Label("span_name"));
    samples_.push_back({stack, span, name, trace, sample.count, sample.cpu_ns, PutLabels(sample)});
  }

  Texts strings_{true};
  Texts ids_{false};
  Table<Numbers> functions_;
  Table<std::pair<std::size_t, std::int64_t>> frames_;
  Table<Numbers> locations_;
  Table<Numbers> stacks_;
  Table<std::vector<Numbers>> label_sets_;
  json samples_ = json::array();
};

}  // namespace

json MakeDocument(const pprof_reader::Profile& profile) { return Converter().Run(profile); }

std::string MakePage(const json& document) {
  const std::string text = document.dump(-1, ' ', false, json::error_handler_t::replace);
  std::string page(pprof_http::view::kPageHead);
  page.reserve(page.size() + text.size() + pprof_http::view::kPageTail.size());
  for (const char character : text) {  // outside strings JSON has no '<'
    if (character == '<')
      page += "\\u003c";
    else
      page += character;
  }
  return page.append(pprof_http::view::kPageTail);
}

}  // namespace view
