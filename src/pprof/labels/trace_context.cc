#include <pprof/trace_context.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "src/pprof/base/log.h"
#include "src/pprof/labels/thread.h"

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define OTELPROF_COUNTS_THREADS
#endif

namespace pprof {
namespace {

using labels::CurrentThread;
using labels::ThreadState;
using labels::TraceLayer;

// At most kMaxSpanNameBytes, never inside a UTF-8 sequence.
std::size_t CutSize(std::string_view name) noexcept {
  if (name.size() <= kMaxSpanNameBytes) return name.size();
  std::size_t size = kMaxSpanNameBytes;
  while (size > 0 && (static_cast<unsigned char>(name[size]) & 0xc0) == 0x80) --size;
  return size;
}

SpanName* NewName(std::string_view name, void* memory) noexcept {
  const std::size_t size = CutSize(name);
  char* text = static_cast<char*>(memory) + sizeof(SpanName);
  if (size > 0) std::memcpy(text, name.data(), size);
  return new (memory) SpanName{static_cast<std::uint32_t>(size), 0, text, nullptr};
}

// Like libstdc++ for its shared pointers: an atomic addition is dear, and while libc knows of one
// thread only it is not needed.
bool OneThread() noexcept {
#ifdef OTELPROF_COUNTS_THREADS
  return __libc_single_threaded != 0;
#else
  return false;
#endif
}

// Same thread as the handler that reads it: the compiler alone must keep the order.
void Publish(ThreadState& thread, const TraceContext* context) noexcept {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  thread.record->trace_context.store(context, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

void PublishTop(ThreadState& thread) noexcept {
  const auto& layers = thread.trace_layers;
  const bool none = layers.empty() || layers.back().covered > 0;
  Publish(thread, none ? nullptr : layers.back().context);
}

void FreeCopy(const TraceContext* context) noexcept {
  if (context == nullptr) return;
  if (context->name != nullptr) context->name->Unref();
  if (context->id != nullptr) context->id->Unref();
  delete context;
}

// A push without memory for its layer: no labels until it is popped, those below are not current.
[[gnu::cold, gnu::noinline]] TraceToken PushUnseen(ThreadState& thread) noexcept {
  CountDroppedLabels();
  if (thread.trace_layers.empty()) return 0;  // nothing to cover
  ++thread.trace_layers.back().covered;
  Publish(thread, nullptr);
  return ++thread.record->last_token;
}

inline TraceToken PushOnto(ThreadState& thread, const TraceContext* context, bool owned) noexcept {
  TraceLayer* layer = thread.trace_layers.Push();
  if (layer == nullptr) {
    if (owned) FreeCopy(context);
    return PushUnseen(thread);
  }
  const TraceToken token = ++thread.record->last_token;
  layer->context = context;
  layer->token = token;
  layer->flags = owned ? TraceLayer::kOwned : 0;
  layer->covered = 0;
  Publish(thread, context);
  return token;
}

// After a scope was abandoned, and as long as the thread's first one is awaited or open.
[[gnu::cold, gnu::noinline]] TraceToken PushLooking(ThreadState& thread,
                                                    const TraceContext* context,
                                                    bool owned) noexcept {
  using labels::FirstScope;
  labels::DropAbandoned(thread);
  labels::NestInFirstScope(thread, context);
  const TraceToken token = PushOnto(thread, context, owned);
  if (thread.first.state != FirstScope::State::kReady) return token;
  labels::OpenFirstScope(thread, token);
  return token;
}

// Takes an owned context over, also when there is no layer for it.
TraceToken PushLayer(const TraceContext* context, bool owned) noexcept {
  ThreadState* thread = CurrentThread();
  if (thread == nullptr) {
    CountDroppedLabels();
    if (owned) FreeCopy(context);
    return 0;
  }
  if (labels::MustLook(*thread)) return PushLooking(*thread, context, owned);
  return PushOnto(*thread, context, owned);
}

// What is pushed without memory stands, by its token, above the layer that it covers.
bool PopUnseen(ThreadState& thread, TraceToken token, TraceLayer& below) noexcept {
  if (token <= thread.tokens_before || token > thread.record->last_token) return false;
  if (below.covered == 0) return false;
  --below.covered;
  PublishTop(thread);
  return true;
}

// From the middle of the stack: rare, so it may be slow.
[[gnu::cold, gnu::noinline]] bool PopInner(ThreadState& thread, TraceToken token) noexcept {
  labels::CloseFirstScope(thread, token);
  auto& layers = thread.trace_layers;
  for (std::size_t i = layers.size(); i-- > 0;) {
    if (layers[i].token < token) return PopUnseen(thread, token, layers[i]);
    if (layers[i].token != token) continue;
    const TraceLayer gone = layers[i];
    layers.Erase(i);
    if (i > 0) layers[i - 1].covered += gone.covered;
    PublishTop(thread);
    if ((gone.flags & TraceLayer::kOwned) != 0) FreeCopy(gone.context);
    return true;
  }
  return false;
}

}  // namespace

SpanState* SpanState::Create(std::string_view name, std::size_t room) noexcept {
  // One allocation holds the object, the caller's room and the first name.
  constexpr std::size_t kAlign = alignof(std::max_align_t);
  room = (room + kAlign - 1) / kAlign * kAlign;
  void* memory = std::malloc(sizeof(SpanState) + room + sizeof(SpanName) + CutSize(name));
  if (memory == nullptr) return nullptr;
  auto* state = new (memory) SpanState();
  SpanName* first = NewName(name, static_cast<char*>(state->room()) + room);
  state->name_.store(first, std::memory_order_release);
  return state;
}

void SpanState::Ref() noexcept {
  if (OneThread()) {
    references_.store(references_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  } else {
    references_.fetch_add(1, std::memory_order_relaxed);
  }
}

void SpanState::Unref() noexcept {
  std::uint32_t left;
  if (OneThread()) {
    left = references_.load(std::memory_order_relaxed) - 1;
    references_.store(left, std::memory_order_relaxed);
  } else {
    left = references_.fetch_sub(1, std::memory_order_acq_rel) - 1;
  }
  if (left == 0) Free();
}

void SpanState::SetName(std::string_view name) noexcept {
  const SpanName* old = name_.load(std::memory_order_acquire);
  if (std::string_view(old->text, old->size) == name.substr(0, CutSize(name))) return;
  if (old->number + 1 >= kMaxSpanNames) return CountDroppedLabels();
  void* memory = std::malloc(sizeof(SpanName) + CutSize(name));
  if (memory == nullptr) return CountDroppedLabels();
  SpanName* fresh = NewName(name, memory);
  do {
    fresh->older = old;
    fresh->number = old->number + 1;
  } while (!name_.compare_exchange_weak(old, fresh, std::memory_order_acq_rel));
}

void SpanState::Free() noexcept {
  const SpanName* name = name_.load(std::memory_order_relaxed);
  while (name->older != nullptr) {  // the oldest lies in this object's own allocation
    const SpanName* older = name->older;
    std::free(const_cast<SpanName*>(name));
    name = older;
  }
  this->~SpanState();
  std::free(this);
}

TraceToken PushTraceContext(const TraceContext* context) noexcept {
  return PushLayer(context, false);
}

TraceToken PushTraceContextCopy(const TraceContext& context) noexcept {
  auto* copy = new (std::nothrow) TraceContext(context);
  if (copy == nullptr) {
    CountDroppedLabels();
    return PushLayer(nullptr, false);
  }
  if (copy->name != nullptr) copy->name->Ref();
  if (copy->id != nullptr) copy->id->Ref();
  return PushLayer(copy, true);
}

bool PopTraceContext(TraceToken token) noexcept {
  ThreadState* thread = labels::t_state;
  if (thread == nullptr || token == 0) return false;
  auto& layers = thread->trace_layers;
  if (layers.empty() || layers.back().token != token || layers.back().flags != 0 ||
      layers.back().covered > 0) {
    return PopInner(*thread, token);
  }
  layers.Pop();
  PublishTop(*thread);
  return true;
}

const TraceContext* CurrentTraceContext() noexcept {
  const ThreadState* thread = labels::t_state;
  return thread == nullptr ? nullptr
                           : thread->record->trace_context.load(std::memory_order_relaxed);
}

void AbandonTraceContext(TraceToken token) noexcept {
  if (token == 0) return;
  labels::Abandon(token);
  CountMisplacedScope();
}

void CountDroppedLabels() noexcept {
  labels::g_label_counters.labels_dropped.fetch_add(1, std::memory_order_relaxed);
}

void CountMisplacedScope() noexcept {
  labels::g_label_counters.scopes_misplaced.fetch_add(1, std::memory_order_relaxed);
}

void CountLostContextStorage() noexcept {
  labels::g_label_counters.context_storage_lost.fetch_add(1, std::memory_order_relaxed);
}

void LogWarningOnce(const char* once, std::string_view line) noexcept {
  base::LogOnce(LogLevel::kWarning, once, line);
}

namespace labels {

void ReleaseTraceLayers(ThreadState& thread) noexcept {
  for (const TraceLayer& layer : thread.trace_layers) {
    if ((layer.flags & TraceLayer::kOwned) != 0) FreeCopy(layer.context);
  }
  thread.trace_layers.Clear();
}

}  // namespace labels
}  // namespace pprof
