#include "src/pprof/spans/span_store.h"

#include <algorithm>
#include <cstring>
#include <queue>
#include <utility>

namespace pprof::spans {
namespace {

// Names beyond so many are counted together: they hold ids, most likely.
constexpr std::size_t kMaxOperations = 512;
constexpr const char* kOtherOperations = "(other operations)";
constexpr std::size_t kMaxSpansOfTrace = 4096;
constexpr std::int64_t kGroupBytes = 320;  // with its nodes in map and list
constexpr std::int64_t kCellBytes = 144;
constexpr std::int64_t kSpanBytes = 16;  // its place in the group

// Steps of a factor of four: 1 ms and 3 ms are alike, 1 ms and 10 ms are not.
std::uint64_t LatencyBucket(std::int64_t ns) noexcept {
  return ns < 4
             ? 0
             : static_cast<std::uint64_t>(63 - __builtin_clzll(static_cast<std::uint64_t>(ns))) / 2;
}

Record* OldestFirst(Record* newest) noexcept {
  Record* first = nullptr;
  while (newest != nullptr) {
    Record* const next = newest->next;
    newest->next = first;
    first = newest;
    newest = next;
  }
  return first;
}

}  // namespace

SpanStore::~SpanStore() {
  while (!groups_.empty()) Forget(*groups_.begin()->second);
  AddBytes(-own_bytes_);
}

void SpanStore::Add(Record* newest, std::int64_t system_minus_steady) noexcept {
  for (Record* record = OldestFirst(newest); record != nullptr;) {
    Record* const next = record->next;
    if (record->system_ns == 0) record->system_ns = record->steady_ns + system_minus_steady;
    try {
      AddOne(record);
    } catch (...) {  // no memory
      ++dropped_;
      Unref(record);
    }
    record = next;
  }
}

// Owns `record` when it returns; throws before.
void SpanStore::AddOne(Record* record) {
  record->operation = OperationOf(*record);
  Operation& operation = *operations_[record->operation];
  operation.latency.Add(record->duration_ns);
  if (record->Failed()) ++operation.errors;
  Cell& cell = CellOf(*record);
  ++cell.seen;
  Group& group = GroupOf(*record);
  if (group.spans.size() >= kMaxSpansOfTrace) {
    ++dropped_;
    return Unref(record);
  }
  group.spans.push_back(record);
  ++kept_;
  AddBytes(kSpanBytes);
  const auto bytes = static_cast<std::int64_t>(record->Bytes()) + kSpanBytes;
  group.bytes += bytes;
  group.cell->bytes += bytes;
  if (cell.seen < group.cell->seen) Move(group, cell);
}

std::uint32_t SpanStore::OperationOf(const Record& record) {
  const bool full = operations_.size() >= kMaxOperations - 1;
  std::string name(record.Name());
  auto found = operation_numbers_.find(name);
  if (found != operation_numbers_.end()) return found->second;
  if (full) {
    name = kOtherOperations;
    found = operation_numbers_.find(name);
    if (found != operation_numbers_.end()) return found->second;
  }
  auto operation = std::make_unique<Operation>();
  operation->name = name;
  operations_.reserve(operations_.size() + 1);
  const auto number = static_cast<std::uint32_t>(operations_.size());
  operation_numbers_.emplace(std::move(name), number);
  operations_.push_back(std::move(operation));
  constexpr auto kBytes = static_cast<std::int64_t>(sizeof(Operation) + 512);
  own_bytes_ += kBytes;
  AddBytes(kBytes);
  return number;
}

SpanStore::Cell& SpanStore::CellOf(const Record& record) {
  constexpr std::uint64_t kLatencies = 64;
  const std::uint64_t key =
      (record.operation * kLatencies + LatencyBucket(record.duration_ns)) * 2 +
      (record.Failed() ? 1 : 0);
  const auto [place, fresh] = cells_.try_emplace(key);
  if (fresh) {
    own_bytes_ += kCellBytes;
    AddBytes(kCellBytes);
  }
  return place->second;
}

// The group of the span's trace; a new one lies in the span's own cell.
SpanStore::Group& SpanStore::GroupOf(const Record& record) {
  TraceKey key;
  std::memcpy(&key.high, record.trace_id, sizeof(key.high));
  std::memcpy(&key.low, record.trace_id + sizeof(key.high), sizeof(key.low));
  const auto found = groups_.find(key);
  if (found != groups_.end()) return *found->second;
  auto group = std::make_unique<Group>();
  Group& made = *group;
  made.key = key;
  made.bytes = kGroupBytes;
  made.spans.reserve(2);
  Cell& cell = CellOf(record);
  std::list<Group*> node{&made};  // allocated before anything changes
  groups_.emplace(key, std::move(group));
  cell.groups.splice(cell.groups.end(), node);
  made.place = std::prev(cell.groups.end());
  made.cell = &cell;
  cell.bytes += kGroupBytes;
  AddBytes(kGroupBytes);
  return made;
}

void SpanStore::Move(Group& group, Cell& to) {
  group.cell->bytes -= group.bytes;
  to.groups.splice(to.groups.end(), group.cell->groups, group.place);
  to.bytes += group.bytes;
  group.cell = &to;
}

void SpanStore::Forget(Group& group) noexcept {
  group.cell->bytes -= group.bytes;
  group.cell->groups.erase(group.place);
  kept_ -= group.spans.size();
  for (Record* record : group.spans) Unref(record);
  AddBytes(-kGroupBytes - kSpanBytes * static_cast<std::int64_t>(group.spans.size()));
  const TraceKey key = group.key;
  groups_.erase(key);
}

void SpanStore::Trim() noexcept {
  const std::int64_t target = BytesLimit() / 4 * 3;
  if (BytesUsed() <= target) return;
  try {
    using Sized = std::pair<std::int64_t, Cell*>;
    std::priority_queue<Sized> largest;
    for (auto& [key, cell] : cells_) {
      if (!cell.groups.empty()) largest.emplace(cell.bytes, &cell);
    }
    while (BytesUsed() > target && !largest.empty()) {
      Cell& cell = *largest.top().second;
      largest.pop();
      Group& oldest = *cell.groups.front();
      dropped_ += oldest.spans.size();
      Forget(oldest);
      if (!cell.groups.empty()) largest.emplace(cell.bytes, &cell);
    }
  } catch (...) {  // no memory to choose: next time
  }
}

}  // namespace pprof::spans
