// Labels on CPU samples, as in Go's runtime/pprof: whatever a thread does inside a LabelScope
// carries its labels.
//
//   static const pprof::LabelSet labels = pprof::Labels({{"vehicle", "bike"}});
//   pprof::Do(labels, [&] { Search(); });
//
// Unlike a goroutine, a new std::thread starts unlabelled: carry a LabelSnapshot over. Labels set
// before a profile starts count. Nothing here throws; without memory a label is missing and counted
// (Stats::labels_dropped). No function in this header is async-signal-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>

#include <pprof/export.h>

namespace pprof {

// A set with more label bytes than this keeps the labels that fit, in the order given; the rest is
// counted.
inline constexpr std::size_t kMaxLabelSetBytes = 2048;

namespace internal {
struct LabelData;  // immutable, reference-counted
struct SnapshotData;
}  // namespace internal

// An immutable set of labels, cheap to copy, shared by any number of threads. Build once, reuse.
class PPROF_EXPORT LabelSet {
 public:
  LabelSet() noexcept = default;  // empty
  LabelSet(const LabelSet& other) noexcept;
  LabelSet(LabelSet&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  LabelSet& operator=(LabelSet other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~LabelSet();

  bool empty() const noexcept { return data_ == nullptr; }
  // The value of a label, or an empty view. Lives as long as this set.
  std::string_view Get(std::string_view key) const noexcept;

 private:
  friend class LabelScope;
  friend class LabelSnapshot;
  friend PPROF_EXPORT LabelSet
      Labels(std::initializer_list<std::pair<std::string_view, std::string_view>>) noexcept;
  friend class LabelSnapshot;
  explicit LabelSet(const internal::LabelData* data) noexcept : data_(data) {}
  const internal::LabelData* data_ = nullptr;
};

// Copies keys and values. The later of two equal keys wins. span_id, trace_id, span_name and
// profile_id are reserved for the trace context: dropped and counted, as are empty keys.
PPROF_EXPORT LabelSet
Labels(std::initializer_list<std::pair<std::string_view, std::string_view>> labels) noexcept;

// Labels and trace context of one moment, by value; may be used on any thread and outlive the span.
class PPROF_EXPORT LabelSnapshot {
 public:
  LabelSnapshot() noexcept = default;  // no labels, no trace context
  LabelSnapshot(const LabelSnapshot& other) noexcept;
  LabelSnapshot(LabelSnapshot&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  LabelSnapshot& operator=(LabelSnapshot other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~LabelSnapshot();

  LabelSet labels() const noexcept;  // without the trace context

 private:
  friend class LabelScope;
  friend PPROF_EXPORT LabelSnapshot CurrentLabels() noexcept;
  explicit LabelSnapshot(internal::SnapshotData* data) noexcept : data_(data) {}
  internal::SnapshotData* data_ = nullptr;
};

// Of the calling thread.
PPROF_EXPORT LabelSnapshot CurrentLabels() noexcept;

// Labels THIS thread until destroyed, then restores what was there. For the stack only. Destroyed
// on another thread it has no effect there and is counted (Stats::scopes_misplaced). Destroyed
// before scopes that were opened after it, it takes its own labels away and leaves theirs.
class PPROF_EXPORT LabelScope {
 public:
  explicit LabelScope(const LabelSet& merge) noexcept;  // over the outer labels
  explicit LabelScope(
      const LabelSnapshot& replace) noexcept;  // instead of the outer labels and trace context
  ~LabelScope();
  LabelScope(const LabelScope&) = delete;
  LabelScope& operator=(const LabelScope&) = delete;

 private:
  static void* operator new(std::size_t) = delete;
  std::uint64_t label_token_ = 0;
  std::uint64_t trace_token_ = 0;
};

// Runs f with the labels, returns what it returns (Go: pprof.Do).
template <class F>
decltype(auto) Do(const LabelSet& labels, F&& f) {
  LabelScope scope(labels);
  return std::forward<F>(f)();
}

}  // namespace pprof
