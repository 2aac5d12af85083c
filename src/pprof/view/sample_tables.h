// Samples of several profiles put together: the tables of the spans document, each row once.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "src/pprof/profile/profile.h"
#include "src/pprof/profile/string_pool.h"

namespace pprof::view {

using Numbers = std::vector<std::uint32_t>;

// Rows in the order of their coming, each under one number.
template <class Row>
class RowTable {
 public:
  std::uint32_t Put(const Row& row) {
    const auto [place, fresh] = numbers_.emplace(row, static_cast<std::uint32_t>(rows_.size()));
    if (fresh) rows_.push_back(&place->first);
    return place->second;
  }
  const std::vector<const Row*>& rows() const { return rows_; }

 private:
  std::map<Row, std::uint32_t> numbers_;
  std::vector<const Row*> rows_;
};

struct SampleKey {
  std::uint32_t stack;
  std::int32_t span, trace;  // in ids; -1: none
  std::uint32_t name, labels;

  bool operator<(const SampleKey& other) const {
    return std::tie(stack, span, trace, name, labels) <
           std::tie(other.stack, other.span, other.trace, other.name, other.labels);
  }
};
struct SampleValue {
  std::int64_t count = 0;
  std::int64_t cpu_ns = 0;
};

// One thread at a time. Throws std::bad_alloc only.
class SampleTables {
 public:
  using Pair = std::pair<std::uint32_t, std::uint32_t>;

  SampleTables();
  void Add(const profile::Profile& profile);

  std::uint32_t String(std::string_view text) { return strings_.Intern(text); }
  // Lower-case hex; -1 for none.
  std::int32_t Id(std::string_view hex);
  std::uint32_t Labels(const std::vector<Pair>& labels) { return label_sets_.Put(labels); }

  const base::LargeVector<std::string_view>& strings() const { return strings_.strings(); }
  const RowTable<Pair>& functions() const { return functions_; }
  const RowTable<std::pair<std::uint32_t, std::int64_t>>& frames() const { return frames_; }
  const RowTable<Numbers>& locations() const { return locations_; }
  const RowTable<Numbers>& stacks() const { return stacks_; }
  const RowTable<std::vector<Pair>>& label_sets() const { return label_sets_; }
  const RowTable<std::string>& ids() const { return ids_; }
  const std::map<SampleKey, SampleValue>& samples() const { return samples_; }

 private:
  std::uint32_t Location(const profile::Profile& profile, const profile::Location& location);
  SampleKey Describe(const profile::Profile& profile, const profile::Sample& sample);

  profile::StringPool strings_;
  RowTable<Pair> functions_;
  RowTable<std::pair<std::uint32_t, std::int64_t>> frames_;
  RowTable<Numbers> locations_;
  RowTable<Numbers> stacks_;
  RowTable<std::vector<Pair>> label_sets_;
  RowTable<std::string> ids_;
  std::map<SampleKey, SampleValue> samples_;
};

// "module 0xaddress" where nothing better is known.
std::string NameOfAddress(const profile::Profile& profile, const profile::Location& location);

}  // namespace pprof::view
