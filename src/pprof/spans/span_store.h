// The spans that are kept, and the numbers of all that were seen. Spans of one trace stay together,
// so that a waterfall is whole. A trace counts as what is rarest in it: of all its spans' cells
// (operation, latency bucket, failed or not) the one that was seen least often. When memory is
// short the oldest trace of the cell that holds most goes first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/pprof/spans/latency.h"
#include "src/pprof/spans/record.h"

namespace pprof::spans {

struct Operation {
  std::string name;
  LatencyHistogram latency;  // of all spans seen
  std::uint64_t errors = 0;
};

// One thread at a time. Its memory counts as AddBytes. Not async-signal-safe.
class SpanStore {
 public:
  SpanStore() = default;
  ~SpanStore();
  SpanStore(const SpanStore&) = delete;
  SpanStore& operator=(const SpanStore&) = delete;

  // Takes over the chain of TakeEnded(). `system_minus_steady`: system clock less steady clock,
  // now. Spans for which there is no memory are counted as dropped.
  void Add(Record* newest, std::int64_t system_minus_steady) noexcept;
  // Forgets traces until three quarters of the limit are in use.
  void Trim() noexcept;

  const std::vector<std::unique_ptr<Operation>>& operations() const noexcept { return operations_; }
  std::uint64_t dropped() const noexcept { return dropped_; }
  std::size_t kept() const noexcept { return kept_; }

  template <class F>
  void ForEach(F&& f) const {
    for (const auto& [key, group] : groups_) {
      for (const Record* record : group->spans) f(*record);
    }
  }

 private:
  struct TraceKey {
    std::uint64_t high, low;
    bool operator==(const TraceKey& other) const noexcept {
      return high == other.high && low == other.low;
    }
  };
  struct TraceHash {
    std::size_t operator()(const TraceKey& key) const noexcept {
      return key.high ^ (key.low * 0x9e3779b97f4a7c15u);
    }
  };
  struct Group;
  struct Cell {
    std::uint64_t seen = 0;    // spans
    std::int64_t bytes = 0;    // of the groups that are kept in it
    std::list<Group*> groups;  // oldest first
  };
  struct Group {
    TraceKey key{};
    std::vector<Record*> spans;
    std::int64_t bytes = 0;
    Cell* cell = nullptr;
    std::list<Group*>::iterator place;
  };
  using Groups = std::unordered_map<TraceKey, std::unique_ptr<Group>, TraceHash>;

  void AddOne(Record* record);
  std::uint32_t OperationOf(const Record& record);
  Cell& CellOf(const Record& record);
  Group& GroupOf(const Record& record);
  void Move(Group& group, Cell& to);
  void Forget(Group& group) noexcept;

  Groups groups_;
  std::map<std::uint64_t, Cell>
      cells_;  // by operation, latency bucket and failure; nodes stay where they are
  std::vector<std::unique_ptr<Operation>> operations_;
  std::unordered_map<std::string, std::uint32_t> operation_numbers_;
  std::uint64_t dropped_ = 0;
  std::size_t kept_ = 0;
  std::int64_t own_bytes_ = 0;
};

}  // namespace pprof::spans
