// A span of the wrapped provider together with its labels. The context storage recognises it and
// publishes the labels while it is current; everything else goes to the span inside. Made by
// tracer.h, one allocation each.
//
// Recognised by its virtual table: whatever a Context holds is known as a trace::Span only, and
// programs without RTTI are supported. Copies of this code in several shared objects may have a
// table each, so the known ones are kept in a list.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

#include <opentelemetry/common/timestamp.h>
#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/nostd/string_view.h>
#include <opentelemetry/trace/span.h>
#include <opentelemetry/trace/span_context.h>

#include <otelpyroscope/namespace.h>
#include <otelpyroscope/span_labels.h>
#include <otelpyroscope/span_notes.h>
#include <pprof/span_record.h>
#include <pprof/trace_context.h>

namespace otelpyroscope {
inline namespace v1 {
namespace internal {

// The virtual table of a polymorphic object (Itanium C++ ABI: its first word).
inline const void* VirtualTable(const void* object) noexcept {
  const void* table;
  std::memcpy(&table, object, sizeof(table));
  return table;
}

// The virtual tables of one class. Any thread. Not async-signal-safe.
class TableList {
 public:
  void Add(const void* table) noexcept {
    for (std::atomic<const void*>& slot : tables_) {
      const void* known = nullptr;
      if (slot.compare_exchange_strong(known, table, std::memory_order_relaxed)) return;
      if (known == table) return;
    }
  }
  bool Has(const void* table) const noexcept {
    for (const std::atomic<const void*>& slot : tables_) {
      const void* known = slot.load(std::memory_order_relaxed);
      if (known == table) return true;
      if (known == nullptr) return false;
    }
    return false;
  }

 private:
  std::atomic<const void*> tables_[8] = {};
};

OTELPYROSCOPE_SHARED inline TableList& SpanTables() noexcept {
  static TableList tables;
  return tables;
}

inline void SetProfileId(trace::Span& span, const trace::SpanId& id) noexcept {
  char hex[2 * trace::SpanId::kSize];
  id.ToLowerBase16(hex);
  span.SetAttribute("pyroscope.profile.id", nostd::string_view(hex, sizeof(hex)));
}

class OTELPYROSCOPE_SHARED ProfiledSpan final : public trace::Span {
 public:
  // `role.home` is kept by whoever owns this object's memory.
  ProfiledSpan(nostd::shared_ptr<trace::Span>& inner, const trace::SpanContext& ids,
               const SpanRole& role, const Options& options) noexcept
      : labels_(DescribeSpan(ids, role, options)),
        home_(role.home),
        owns_name_(role.owns_name),
        id_at_end_(role.tells && role.owns_id && role.home != nullptr),
        inner_(inner.get()),
        owner_(std::move(inner)) {}

  ~ProfiledSpan() override {
    BeforeEnd();  // the span inside ends itself when it goes
    if (record_ != nullptr) {
      record_->End();
      record_->Release();
    }
    Release(labels_, home_);
  }

  // Lives as long as this object, never changes.
  const pprof::TraceContext& labels() const noexcept { return labels_; }
  // Takes over the reference. Before anybody else knows of this object.
  void set_record(pprof::SpanRecord* record) noexcept { record_ = record; }

  void SetAttribute(nostd::string_view key, const common::AttributeValue& value) noexcept override {
    inner_->SetAttribute(key, value);
    if (record_ != nullptr) NoteAttribute(*record_, key, value);
  }
  void AddEvent(nostd::string_view name) noexcept override { inner_->AddEvent(name); }
  void AddEvent(nostd::string_view name, common::SystemTimestamp time) noexcept override {
    inner_->AddEvent(name, time);
  }
  void AddEvent(nostd::string_view name, common::SystemTimestamp time,
                const common::KeyValueIterable& attributes) noexcept override {
    inner_->AddEvent(name, time, attributes);
  }
  void AddEvent(nostd::string_view name,
                const common::KeyValueIterable& attributes) noexcept override {
    inner_->AddEvent(name, attributes);
  }
#if OPENTELEMETRY_ABI_VERSION_NO >= 2
  void AddLink(const trace::SpanContext& target,
               const common::KeyValueIterable& attributes) noexcept override {
    inner_->AddLink(target, attributes);
  }
  void AddLinks(const trace::SpanContextKeyValueIterable& links) noexcept override {
    inner_->AddLinks(links);
  }
#endif
  void SetStatus(trace::StatusCode code, nostd::string_view description) noexcept override {
    inner_->SetStatus(code, description);
    if (record_ != nullptr) NoteStatus(*record_, code);
  }
  void UpdateName(nostd::string_view name) noexcept override {
    inner_->UpdateName(name);
    if (record_ != nullptr) record_->SetName(AsText(name));
    if (!owns_name_ || home_ == nullptr || ended_.load(std::memory_order_relaxed)) return;
    home_->SetName(std::string_view(name.data(), name.size()));
  }
  void End(const trace::EndSpanOptions& options) noexcept override {
    BeforeEnd();
    if (record_ == nullptr) return inner_->End(options);
    // One reading of the clock for both, which spares the SDK its own.
    trace::EndSpanOptions timed = options;
    if (timed.end_steady_time.time_since_epoch().count() == 0) {
      timed.end_steady_time = common::SteadyTimestamp(std::chrono::steady_clock::now());
    }
    record_->End(timed.end_steady_time.time_since_epoch().count());
    inner_->End(timed);
  }
  trace::SpanContext GetContext() const noexcept override { return inner_->GetContext(); }
  bool IsRecording() const noexcept override { return inner_->IsRecording(); }

 private:
  // Two threads may end a span at once: both then set the same attribute, which is no harm.
  void BeforeEnd() noexcept {
    if (ended_.load(std::memory_order_relaxed)) return;
    ended_.store(true, std::memory_order_relaxed);
    if (id_at_end_ && home_->sampled()) SetProfileId(*inner_, trace::SpanId(labels_.span_id));
  }

  const pprof::TraceContext labels_;
  pprof::SpanState* const home_;
  const bool owns_name_;
  const bool id_at_end_;
  std::atomic<bool> ended_{false};
  pprof::SpanRecord* record_ = nullptr;  // while somebody watches spans
  trace::Span* const inner_;             // `owner_`'s, whose get() is a virtual call
  const nostd::shared_ptr<trace::Span> owner_;
};

// The span as ours, or nullptr. Any thread. Not async-signal-safe.
inline const ProfiledSpan* AsOurs(const trace::Span* span) noexcept {
  if (span == nullptr || !SpanTables().Has(VirtualTable(span))) return nullptr;
  return static_cast<const ProfiledSpan*>(span);
}

// Makes spans of this copy of the code known. Not async-signal-safe.
inline void RegisterSpanTable() noexcept {
  nostd::shared_ptr<trace::Span> none;
  const ProfiledSpan probe(none, trace::SpanContext::GetInvalid(), SpanRole(), Options());
  SpanTables().Add(VirtualTable(&probe));
}

}  // namespace internal
}  // namespace v1
}  // namespace otelpyroscope
