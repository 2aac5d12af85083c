#include "src/pprof/spans/record.h"

#include <pprof/trace_context.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace pprof {
namespace spans {
namespace {

// Constant-initialised and trivially destroyed: spans end in static destruction too.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): the padding keeps writers apart
struct Stage {
  std::atomic<bool> wanted{false};
  std::atomic<Record*> ended{nullptr};
  alignas(64) std::atomic<std::int64_t> bytes{0};
  std::atomic<std::int64_t> limit{0};
  std::atomic<std::uint64_t> not_recorded{0};
};
Stage g_stage;

// Nobody reads what a fork child records until it watches spans itself. What the parent kept is its
// copy, never freed.
void StopInForkChild() noexcept {
  g_stage.wanted.store(false, std::memory_order_relaxed);
  g_stage.ended.store(nullptr, std::memory_order_relaxed);
  g_stage.bytes.store(0, std::memory_order_relaxed);
}

// Whoever holds it does so for a few hundred instructions, but may be preempted.
class Hold {
 public:
  explicit Hold(Record& record) noexcept : record_(record) {
    constexpr int kTries = 200;
    for (int i = 0; i < kTries && !held_; ++i) {
      held_ = !record.busy.test_and_set(std::memory_order_acquire);
      if (!held_ && i > kTries / 2) sched_yield();
    }
  }
  ~Hold() {
    if (held_) record_.busy.clear(std::memory_order_release);
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  bool Changeable() const noexcept {
    return held_ && !record_.ended.load(std::memory_order_relaxed);
  }

 private:
  Record& record_;
  bool held_ = false;
};

std::int64_t SteadyNow() noexcept {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// At most `limit` bytes, not in the middle of a character.
std::string_view Cut(std::string_view text, std::size_t limit) noexcept {
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) --limit;
  return text.substr(0, limit);
}

bool Reserve(std::size_t bytes) noexcept {
  const auto more = static_cast<std::int64_t>(bytes);
  const std::int64_t before = g_stage.bytes.fetch_add(more, std::memory_order_relaxed);
  if (before + more <= g_stage.limit.load(std::memory_order_relaxed)) return true;
  AddBytes(-more);
  return false;
}

char* InnerName(const Record& record) noexcept {
  return reinterpret_cast<char*>(const_cast<Record*>(&record)) + sizeof(Record);
}

// Counted, from malloc; nullptr: none.
char* NewText(std::size_t bytes) noexcept {
  if (!Reserve(bytes)) return nullptr;
  auto* text = static_cast<char*>(std::malloc(bytes));
  if (text == nullptr) AddBytes(-static_cast<std::int64_t>(bytes));
  return text;
}
void FreeText(char* text, std::size_t bytes) noexcept {
  if (text == nullptr) return;
  std::free(text);
  AddBytes(-static_cast<std::int64_t>(bytes));
}

Record* NewRecord(std::string_view name) noexcept {
  constexpr std::size_t kNameRoom = 32;  // for a longer name by UpdateName
  const std::size_t room = std::max(name.size(), kNameRoom);
  const std::size_t bytes = sizeof(Record) + room;
  if (!Reserve(bytes)) return nullptr;
  void* const memory = std::malloc(bytes);
  if (memory == nullptr) {
    AddBytes(-static_cast<std::int64_t>(bytes));
    return nullptr;
  }
  auto* record = new (memory) Record();
  record->allocated = static_cast<std::uint32_t>(bytes);
  record->name = InnerName(*record);
  record->name_room = static_cast<std::uint16_t>(room);
  record->name_size = static_cast<std::uint16_t>(name.size());
  std::memcpy(record->name, name.data(), name.size());
  record->busy.clear(std::memory_order_relaxed);
  record->references.store(2, std::memory_order_relaxed);  // the span's and the reader's
  return record;
}

void Push(Record* record) noexcept {
  Record* top = g_stage.ended.load(std::memory_order_relaxed);
  do {
    record->next = top;
  } while (!g_stage.ended.compare_exchange_weak(top, record, std::memory_order_release,
                                                std::memory_order_relaxed));
}

// A change that had begun before the end is complete afterwards.
void WaitForChange(Record& record) noexcept {
  while (record.busy.test_and_set(std::memory_order_acquire)) sched_yield();
  record.busy.clear(std::memory_order_release);
}

void ForgetEnded() noexcept {
  Record* record = g_stage.ended.exchange(nullptr, std::memory_order_acquire);
  while (record != nullptr) {
    Record* const next = record->next;
    Unref(record);
    record = next;
  }
}

// Room for `bytes` more of attributes.
bool GrowAttributes(Record& record, std::size_t bytes) noexcept {
  constexpr std::size_t kFirst = 128;
  const std::size_t needed = record.attributes_size + bytes;
  if (needed <= record.attributes_room) return true;
  const std::size_t room = std::max({kFirst, needed, std::size_t{2} * record.attributes_room});
  char* const text = NewText(room);
  if (text == nullptr) return false;
  if (record.attributes_size != 0) std::memcpy(text, record.attributes, record.attributes_size);
  FreeText(record.attributes, record.attributes_room);
  record.attributes = text;
  record.attributes_room = static_cast<std::uint16_t>(room);
  return true;
}

// A second value takes the place of the first.
void RemoveAttribute(Record& record, std::string_view key) noexcept {
  char* at = record.attributes;
  for (int i = 0; i < record.attribute_count; ++i) {
    const std::size_t key_size = static_cast<unsigned char>(at[0]);
    const std::size_t size = 2 + key_size + static_cast<unsigned char>(at[1]);
    if (std::string_view(at + 2, key_size) == key) {
      const char* const end = record.attributes + record.attributes_size;
      std::memmove(at, at + size, static_cast<std::size_t>(end - (at + size)));
      record.attributes_size = static_cast<std::uint16_t>(record.attributes_size - size);
      --record.attribute_count;
      return;
    }
    at += size;
  }
}

}  // namespace

std::size_t Record::Bytes() const noexcept {
  return allocated + attributes_room + (name == InnerName(*this) ? 0u : name_room);
}

void Unref(Record* record) noexcept {
  if (record->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  FreeText(record->attributes, record->attributes_room);
  if (record->name != InnerName(*record)) FreeText(record->name, record->name_room);
  AddBytes(-static_cast<std::int64_t>(record->allocated));
  record->~Record();
  std::free(record);
}

void Want(std::int64_t limit) noexcept {
  static const int registered = pthread_atfork(nullptr, nullptr, StopInForkChild);
  static_cast<void>(registered);
  g_stage.limit.store(limit, std::memory_order_relaxed);
  g_stage.wanted.store(true, std::memory_order_seq_cst);
}

void StopWanting() noexcept {
  g_stage.wanted.store(false, std::memory_order_seq_cst);
  ForgetEnded();
}

Record* TakeEnded() noexcept {
  Record* const all = g_stage.ended.exchange(nullptr, std::memory_order_acquire);
  for (Record* record = all; record != nullptr; record = record->next) WaitForChange(*record);
  return all;
}

std::int64_t BytesUsed() noexcept { return g_stage.bytes.load(std::memory_order_relaxed); }
std::int64_t BytesLimit() noexcept { return g_stage.limit.load(std::memory_order_relaxed); }
void AddBytes(std::int64_t bytes) noexcept {
  g_stage.bytes.fetch_add(bytes, std::memory_order_relaxed);
}
std::uint64_t NotRecorded() noexcept {
  return g_stage.not_recorded.load(std::memory_order_relaxed);
}

}  // namespace spans

using spans::Record;

bool SpansWanted() noexcept { return spans::g_stage.wanted.load(std::memory_order_relaxed); }

SpanRecord* SpanRecord::Start(const SpanStart& start) noexcept {
  if (!SpansWanted()) return nullptr;
  Record* const record = spans::NewRecord(spans::Cut(start.name, kMaxSpanNameBytes));
  if (record == nullptr) {
    spans::g_stage.not_recorded.fetch_add(1, std::memory_order_relaxed);
    return nullptr;
  }
  std::memcpy(record->trace_id, start.trace_id, sizeof(record->trace_id));
  std::memcpy(record->span_id, start.span_id, sizeof(record->span_id));
  std::memcpy(record->parent_id, start.parent_id, sizeof(record->parent_id));
  std::memcpy(record->label_span_id, start.label_span_id, sizeof(record->label_span_id));
  record->sampled = start.sampled ? 1 : 0;
  record->local_root = start.local_root ? 1 : 0;
  record->system_ns = start.system_ns;
  record->steady_ns = start.steady_ns != 0 ? start.steady_ns : spans::SteadyNow();
  return record;
}

void SpanRecord::SetName(std::string_view name) noexcept {
  auto& record = static_cast<Record&>(*this);
  const spans::Hold hold(record);
  if (!hold.Changeable()) return;
  name = spans::Cut(name, kMaxSpanNameBytes);
  if (name.size() > record.name_room) {
    char* const text = spans::NewText(kMaxSpanNameBytes);
    if (text == nullptr) return;
    record.name = text;  // the first one that is too long: the room behind the object was used
    record.name_room = kMaxSpanNameBytes;
  }
  std::memcpy(record.name, name.data(), name.size());
  record.name_size = static_cast<std::uint16_t>(name.size());
}

void SpanRecord::SetStatus(SpanStatus status) noexcept {
  auto& record = static_cast<Record&>(*this);
  const spans::Hold hold(record);
  if (hold.Changeable()) record.status = status;
}

void SpanRecord::SetAttribute(std::string_view key, std::string_view value) noexcept {
  auto& record = static_cast<Record&>(*this);
  const spans::Hold hold(record);
  if (!hold.Changeable() || key.empty()) return;
  key = spans::Cut(key, kMaxKeyBytes);
  value = spans::Cut(value, kMaxValueBytes);
  spans::RemoveAttribute(record, key);
  const std::size_t size = 2 + key.size() + value.size();
  if (record.attribute_count == kMaxAttributes || !spans::GrowAttributes(record, size)) return;
  char* at = record.attributes + record.attributes_size;
  at[0] = static_cast<char>(key.size());
  at[1] = static_cast<char>(value.size());
  std::memcpy(at + 2, key.data(), key.size());
  std::memcpy(at + 2 + key.size(), value.data(), value.size());
  record.attributes_size = static_cast<std::uint16_t>(record.attributes_size + size);
  ++record.attribute_count;
}

void SpanRecord::End(std::int64_t steady_ns) noexcept {
  auto& record = static_cast<Record&>(*this);
  if (!SpansWanted() || record.ended.exchange(true, std::memory_order_acq_rel)) return;
  const std::int64_t end = steady_ns != 0 ? steady_ns : spans::SteadyNow();
  record.duration_ns = std::max<std::int64_t>(0, end - record.steady_ns);
  spans::Push(&record);
  // The watch may have ended meanwhile: then it takes nothing any more.
  if (!spans::g_stage.wanted.load(std::memory_order_seq_cst)) spans::ForgetEnded();
}

void SpanRecord::Release() noexcept {
  auto* const record = static_cast<Record*>(this);
  if (!record->ended.load(std::memory_order_relaxed)) spans::Unref(record);  // the reader's
  // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what has not ended holds one for each
  spans::Unref(record);
}

}  // namespace pprof
