#include <cstdint>
#include <initializer_list>
#include <limits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tools/view/document.h"

namespace view {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxTime = std::int64_t{1} << 62;

struct Broken {
  const char* what;
};

std::int64_t Number(const json& value, std::int64_t least, std::int64_t most) {
  if (!value.is_number_integer() || value > std::numeric_limits<std::int64_t>::max()) {
    throw Broken{"not a whole number"};
  }
  const auto number = value.get<std::int64_t>();
  if (number < least || number > most) throw Broken{"a number out of its range"};
  return number;
}

const json& Rows(const json& document, const char* name) {
  const auto rows = document.find(name);
  static const json kNone = json::array();
  if (rows == document.end()) return kNone;
  if (!rows->is_array()) throw Broken{"not a list of rows"};
  return *rows;
}

const json& Row(const json& row, std::size_t fields) {
  if (!row.is_array() || row.size() != fields) throw Broken{"a row of another length"};
  return row;
}

std::int64_t Origin(const json& document) {
  const auto text = document.find("origin_ns");
  if (text == document.end() || !text->is_string()) throw Broken{"no origin_ns"};
  const std::string& digits = text->get_ref<const std::string&>();
  if (digits.empty() || digits.size() > 18 + 1 ||
      digits.find_first_not_of("0123456789") != std::string::npos) {
    throw Broken{"origin_ns is not a time"};
  }
  const std::uint64_t value = std::stoull(digits);
  if (value > static_cast<std::uint64_t>(kMaxTime)) throw Broken{"origin_ns is not a time"};
  return static_cast<std::int64_t>(value);
}

// Rows of one table of texts that become rows of another.
class Translation {
 public:
  Translation(const json& from, json* to) : from_(from), to_(to) {
    for (std::size_t i = 0; i < to->size(); ++i) numbers_[(*to)[i].get<std::string>()] = i;
  }

  std::size_t Put(const json& index) {
    const auto number =
        static_cast<std::size_t>(Number(index, 0, static_cast<std::int64_t>(from_.size()) - 1));
    if (!from_[number].is_string()) throw Broken{"a text that is none"};
    const auto [place, fresh] = numbers_.emplace(from_[number].get<std::string>(), to_->size());
    if (fresh) to_->push_back(from_[number]);
    return place->second;
  }

  std::int64_t PutOrNone(const json& index) {
    return Number(index, -1, kMaxTime) == -1 ? -1 : static_cast<std::int64_t>(Put(index));
  }

 private:
  const json& from_;
  json* to_;
  std::unordered_map<std::string, std::size_t> numbers_;
};

class Merger {
 public:
  Merger(const json& recorded, json* document)
      : recorded_(recorded),
        document_(*document),
        strings_(Rows(recorded, "strings"), &document_["strings"]),
        ids_(Rows(recorded, "ids"), &document_["ids"]) {}

  void Run() {
    shift_ = Origin(recorded_) - Origin(document_);
    for (const json& set : Rows(recorded_, "label_sets")) AddLabels(set);
    for (const json& span : Rows(recorded_, "spans")) AddSpan(Row(span, 11));
    if (recorded_.contains("operations")) AddOperations();
    for (const char* name : {"service", "process", "links", "dropped", "stats"}) {
      if (recorded_.contains(name)) document_[name] = recorded_[name];
    }
    for (const json& note : Rows(recorded_, "notes")) {
      if (note.is_string()) document_["notes"].push_back(note);
    }
  }

 private:
  void AddLabels(const json& set) {
    if (!set.is_array()) throw Broken{"a label set that is none"};
    json moved = json::array();
    for (const json& pair : set) {
      Row(pair, 2);
      moved.push_back({strings_.Put(pair[0]), strings_.Put(pair[1])});
    }
    labels_.push_back(document_["label_sets"].size());
    document_["label_sets"].push_back(std::move(moved));
  }

  void AddSpan(const json& span) {
    const auto labels =
        static_cast<std::size_t>(Number(span[9], 0, static_cast<std::int64_t>(labels_.size()) - 1));
    document_["spans"].push_back(
        {ids_.PutOrNone(span[0]), ids_.PutOrNone(span[1]), ids_.PutOrNone(span[2]),
         strings_.Put(span[3]), Number(span[4], -kMaxTime, kMaxTime) + shift_,
         Number(span[5], 0, kMaxTime), Number(span[6], 0, 2), Number(span[7], 0, 1),
         Number(span[8], 0, 1), labels_[labels], ids_.PutOrNone(span[10])});
  }

  void AddOperations() {
    json moved = json::array();
    for (const json& row : Rows(recorded_, "operations")) {
      Row(row, 8);
      json copy = {strings_.Put(row[0])};
      for (std::size_t i = 1; i < 8; ++i) copy.push_back(Number(row[i], 0, kMaxTime));
      moved.push_back(std::move(copy));
    }
    document_["operations"] = std::move(moved);
  }

  const json& recorded_;
  json& document_;
  Translation strings_;
  Translation ids_;
  std::vector<std::size_t> labels_;
  std::int64_t shift_ = 0;
};

}  // namespace

bool MergeSpans(const json& recorded, json* document, std::string* error) {
  json merged = *document;
  try {
    if (!recorded.is_object()) throw Broken{"not an object"};
    if (recorded.value("version", json()) != 1) throw Broken{"not version 1"};
    Merger(recorded, &merged).Run();
  } catch (const Broken& broken) {
    *error = std::string("not a spans document: ") + broken.what;
    return false;
  }
  *document = std::move(merged);
  return true;
}

}  // namespace view
