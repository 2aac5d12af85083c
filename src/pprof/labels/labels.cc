#include <pprof/labels.h>
#include <pprof/trace_context.h>

#include <atomic>
#include <new>
#include <vector>

#include "src/pprof/labels/label_data.h"
#include "src/pprof/labels/thread.h"

namespace pprof {
namespace internal {

// Labels and trace context by value. `context` is a copy that holds its own references.
struct SnapshotData {
  std::atomic<std::uint32_t> references{1};
  const LabelData* labels = nullptr;
  bool has_context = false;
  TraceContext context{};
};

}  // namespace internal

namespace {

using internal::LabelData;
using internal::SnapshotData;
using labels::CurrentThread;
using labels::FirstScope;
using labels::LabelLayer;
using labels::MergeSlot;
using labels::ThreadState;

void CountDroppedSet() noexcept {
  labels::g_label_counters.labels_dropped.fetch_add(1, std::memory_order_relaxed);
}

void Publish(ThreadState& thread, const LabelData* effective) noexcept {
  // Same thread as the handler that reads it: the compiler alone must keep the order.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  thread.record->labels.store(effective == nullptr ? nullptr : &effective->blob,
                              std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

const LabelData* Effective(const ThreadState& thread) noexcept {
  return thread.label_layers.empty() ? nullptr : thread.label_layers.back().effective;
}

int SlotIndex(const LabelData* outer, const LabelData* inner) noexcept {
  // Objects are 16 bytes apart at least; two sets of one page differ in the bits above.
  const std::uint64_t mixed = reinterpret_cast<std::uint64_t>(inner) >> 5 ^
                              reinterpret_cast<std::uint64_t>(inner) >> 8 ^
                              reinterpret_cast<std::uint64_t>(outer) >> 6;
  return static_cast<int>(mixed % ThreadState::kMergeSlots);
}

void EmptySlot(MergeSlot& slot) noexcept {
  internal::Unref(slot.outer);
  internal::Unref(slot.inner);
  internal::Unref(slot.merged);
  slot = MergeSlot();
}

// The slot that holds a merge, else one that nobody uses, else -1.
int SearchSlots(const ThreadState& thread, const LabelData* outer,
                const LabelData* inner) noexcept {
  const int first = SlotIndex(outer, inner);
  int unused = -1;
  for (int i = 0; i < ThreadState::kMergeSlots; ++i) {
    const int index = (first + i) % ThreadState::kMergeSlots;
    const MergeSlot& slot = thread.merges[index];
    if (slot.inner == inner && slot.outer == outer) return index;
    if (unused < 0 && slot.uses == 0) unused = index;
  }
  return unused;
}

// The slot with the merge of two sets, -1 when all are taken by open layers. May throw
// std::bad_alloc.
int FindSlot(ThreadState& thread, const LabelData* outer, const LabelData* inner) {
  const int index = SearchSlots(thread, outer, inner);
  if (index < 0) return -1;
  MergeSlot& slot = thread.merges[index];
  if (slot.inner == inner && slot.outer == outer) return index;
  EmptySlot(slot);
  slot.merged = internal::MergeLabelData(outer, inner);
  slot.outer = internal::Ref(outer);
  slot.inner = internal::Ref(inner);
  return index;
}

void ReleaseLayer(ThreadState& thread, const LabelLayer& layer) noexcept {
  if (layer.slot >= 0) {
    --thread.merges[layer.slot].uses;
    return;
  }
  internal::Unref(layer.own);
  internal::Unref(layer.effective);
}

// The usual case: this merge is in its slot and there is room for a layer. 0: do it the long way.
inline std::uint64_t PushCached(ThreadState& thread, const LabelData* own) noexcept {
  auto& layers = thread.label_layers;
  const LabelData* outer = Effective(thread);
  const int index = SlotIndex(outer, own);
  MergeSlot& slot = thread.merges[index];
  if (slot.inner != own || slot.outer != outer || layers.full() ||
      labels::g_abandoned.load(std::memory_order_relaxed) != thread.abandoned_seen) {
    return 0;
  }
  ++slot.uses;
  const std::uint64_t token = ++thread.record->last_token;
  LabelLayer& layer = layers.PushWhereRoom();
  layer.own = own;
  layer.effective = slot.merged;
  layer.token = token;
  layer.slot = index;
  layer.replace = false;
  Publish(thread, slot.merged);
  return token;
}

// The same backwards: the innermost scope ends, and its merge stays in its slot.
inline bool PopCached(ThreadState& thread, std::uint64_t token) noexcept {
  auto& layers = thread.label_layers;
  if (layers.empty() || layers.back().token != token || layers.back().slot < 0) return false;
  --thread.merges[layers.back().slot].uses;
  layers.Pop();
  Publish(thread, Effective(thread));
  return true;
}

std::uint64_t PushLabels(ThreadState& thread, const LabelData* own, bool replace) noexcept {
  if (thread.first.state == FirstScope::State::kOpen) labels::GiveUpFirstScope(thread);
  try {
    const LabelData* outer = replace ? nullptr : Effective(thread);
    const std::uint64_t token = ++thread.record->last_token;
    LabelLayer layer{own, nullptr, token, -1, replace};
    // Without a slot its end comes by PopLabels.
    const bool first = thread.first.state == FirstScope::State::kReady;
    if (own != nullptr && !first) layer.slot = FindSlot(thread, outer, own);
    if (layer.slot >= 0) {
      MergeSlot& slot = thread.merges[layer.slot];
      ++slot.uses;
      layer.effective = slot.merged;
    } else {
      layer.effective = internal::MergeLabelData(outer, own);
      internal::Ref(own);
    }
    LabelLayer* top = thread.label_layers.Push();
    if (top == nullptr) {
      ReleaseLayer(thread, layer);
      throw std::bad_alloc();
    }
    *top = layer;
    Publish(thread, layer.effective);
    return token;
  } catch (...) {
    CountDroppedSet();
    return 0;
  }
}

// A scope's labels when the usual case does not hold. Out of line and with nothing left to do for
// its caller, for the usual case's registers.
[[gnu::cold, gnu::noinline]] void PushLooking(const LabelData* own, std::uint64_t* token) noexcept {
  ThreadState* const thread = CurrentThread();
  if (thread == nullptr) return CountDroppedSet();
  labels::CheckAbandoned(*thread);
  *token = PushLabels(*thread, own, false);
  if (thread->first.state == FirstScope::State::kReady) labels::OpenFirstScope(*thread, *token);
}

// The end of such a scope, or of a snapshot's.
[[gnu::cold, gnu::noinline]] void PopLooking(std::uint64_t label_token,
                                             std::uint64_t trace_token) noexcept {
  ThreadState* const thread = labels::t_state;
  bool here = true;
  if (trace_token != 0) {
    // As when they came: no sample sees the labels of one and the context of the other.
    if (thread != nullptr && label_token != 0) Publish(*thread, nullptr);
    here = PopTraceContext(trace_token);
    if (!here) labels::Abandon(trace_token);
  }
  if (label_token != 0 && (thread == nullptr || !labels::PopLabels(*thread, label_token))) {
    labels::Abandon(label_token);
    if (thread != nullptr) Publish(*thread, Effective(*thread));
    here = false;
  }
  if (!here) CountMisplacedScope();
  if (thread != nullptr) labels::CheckAbandoned(*thread);
}

// A scope below others ended: theirs are merged anew, without its labels.
void PopInnerLabels(ThreadState& thread, std::size_t index) noexcept {
  auto& layers = thread.label_layers;
  Publish(thread, nullptr);
  ReleaseLayer(thread, layers[index]);
  layers.Erase(index);
  for (std::size_t i = index; i < layers.size(); ++i) {
    LabelLayer& layer = layers[i];
    const LabelData* outer = layer.replace || i == 0 ? nullptr : layers[i - 1].effective;
    const LabelLayer old = layer;
    internal::Ref(layer.own);
    try {
      layer.effective = internal::MergeLabelData(outer, layer.own);
    } catch (...) {
      layer.effective = internal::Ref(layer.own);
      CountDroppedSet();
    }
    layer.slot = -1;
    ReleaseLayer(thread, old);
  }
  Publish(thread, Effective(thread));
}

}  // namespace

bool labels::PopLabels(ThreadState& thread, std::uint64_t token) noexcept {
  CloseFirstScope(thread, token);
  auto& layers = thread.label_layers;
  if (!layers.empty() && layers.back().token == token) {
    const LabelLayer gone = layers.back();
    layers.Pop();
    Publish(thread, Effective(thread));
    ReleaseLayer(thread, gone);
    return true;
  }
  for (std::size_t i = layers.size(); i-- > 0;) {
    if (layers[i].token != token) continue;
    PopInnerLabels(thread, i);
    return true;
  }
  return false;
}

LabelSet::LabelSet(const LabelSet& other) noexcept : data_(internal::Ref(other.data_)) {}
LabelSet::~LabelSet() { internal::Unref(data_); }

std::string_view LabelSet::Get(std::string_view key) const noexcept {
  std::string_view found;
  if (data_ == nullptr) return found;
  internal::ForEachLabel(data_->blob.words, data_->blob.bytes,
                         [&](std::string_view name, std::string_view value) {
                           if (name == key) found = value;
                         });
  return found;
}

LabelSet Labels(
    std::initializer_list<std::pair<std::string_view, std::string_view>> labels) noexcept {
  try {
    return LabelSet(internal::MakeLabelData({labels.begin(), labels.end()}));
  } catch (...) {
    CountDroppedSet();
    return LabelSet();
  }
}

LabelSnapshot::LabelSnapshot(const LabelSnapshot& other) noexcept : data_(other.data_) {
  if (data_ != nullptr) data_->references.fetch_add(1, std::memory_order_relaxed);
}

LabelSnapshot::~LabelSnapshot() {
  if (data_ == nullptr || data_->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  internal::Unref(data_->labels);
  if (data_->context.name != nullptr) data_->context.name->Unref();
  if (data_->context.id != nullptr) data_->context.id->Unref();
  delete data_;
}

LabelSet LabelSnapshot::labels() const noexcept {
  return LabelSet(data_ == nullptr ? nullptr : internal::Ref(data_->labels));
}

LabelSnapshot CurrentLabels() noexcept {
  const ThreadState* thread = labels::t_state;
  if (thread == nullptr) return LabelSnapshot();
  const LabelData* effective = Effective(*thread);
  const TraceContext* context = CurrentTraceContext();
  if (effective == nullptr && context == nullptr) return LabelSnapshot();
  auto* data = new (std::nothrow) SnapshotData();
  if (data == nullptr) {
    CountDroppedSet();
    return LabelSnapshot();
  }
  data->labels = internal::Ref(effective);
  if (context != nullptr) {
    data->has_context = true;
    data->context = *context;
    if (context->name != nullptr) context->name->Ref();
    if (context->id != nullptr) context->id->Ref();
  }
  return LabelSnapshot(data);
}

LabelScope::LabelScope(const LabelSet& merge) noexcept {
  if (merge.data_ == nullptr) return;
  ThreadState* const thread = labels::t_state;
  if (thread != nullptr && (label_token_ = PushCached(*thread, merge.data_)) != 0) return;
  PushLooking(merge.data_, &label_token_);
}

LabelScope::LabelScope(const LabelSnapshot& replace) noexcept {
  ThreadState* thread = CurrentThread();
  if (thread == nullptr) {
    CountDroppedSet();
    return;
  }
  const SnapshotData* data = replace.data_;
  const bool first = thread->first.state == FirstScope::State::kReady;
  if (first) labels::GiveUpFirstScope(*thread);  // until all of it is published
  // No labels at all between the old ones and the new ones, so that no sample sees half of each.
  Publish(*thread, nullptr);
  trace_token_ = data != nullptr && data->has_context ? PushTraceContextCopy(data->context)
                                                      : PushTraceContext(nullptr);
  label_token_ = PushLabels(*thread, data == nullptr ? nullptr : data->labels, true);
  if (label_token_ == 0) Publish(*thread, Effective(*thread));
  if (first) {
    labels::AwaitFirstScope(*thread, thread->first.epoch);
    labels::OpenFirstScope(*thread, trace_token_);
  }
}

LabelScope::~LabelScope() {
  if (trace_token_ == 0) {
    if (label_token_ == 0) return;
    ThreadState* const thread = labels::t_state;
    if (thread != nullptr && PopCached(*thread, label_token_)) return;
  }
  PopLooking(label_token_, trace_token_);
}

namespace labels {

void ReleaseTraceLayers(ThreadState& thread) noexcept;

void ReleaseLayers(ThreadState& thread) noexcept {
  ReleaseTraceLayers(thread);
  for (const LabelLayer& layer : thread.label_layers) ReleaseLayer(thread, layer);
  thread.label_layers.Clear();
  for (MergeSlot& slot : thread.merges) EmptySlot(slot);
}

}  // namespace labels
}  // namespace pprof
