// The contexts that are attached on one thread, each with what was published for it, and the
// thread's hold on them. Used by context_storage.h alone, and by parent.h to look for a parent.
//
// At the end of a thread its labels are cleared first, then the contexts are released, because that
// may end spans and so run any code. Contexts may also be attached later, by destructors that run
// after ours: then the stack is filled again and has another end. That is why it is a plain struct
// and not an object with a destructor, which others could outlive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include <opentelemetry/context/context.h>
#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/trace/span.h>
#include <opentelemetry/trace/span_metadata.h>

#include <otelpyroscope/make_shared.h>
#include <otelpyroscope/namespace.h>
#include <otelpyroscope/span.h>
#include <pprof/trace_context.h>

// Runs `function(argument)` when the calling thread ends, in reverse order with the destructors of
// its thread_local objects, also when registered by one of those. `object`, any address in a shared
// object, keeps that one loaded until then. Not 0 without memory (Itanium C++ ABI, 3.3.6.3).
extern "C" int __cxa_thread_atexit(void (*function)(void*), void* argument, void* object) noexcept;

namespace otelpyroscope {
inline namespace v1 {
namespace internal {

// The active span in a context's value for trace::kSpanKey, or nullptr. `value` keeps it alive.
inline trace::Span* SpanIn(const context::ContextValue& value) noexcept {
  const auto* span = nostd::get_if<nostd::shared_ptr<trace::Span>>(&value);
  return span == nullptr ? nullptr : span->get();
}

// Never across two cache lines.
struct alignas(64) AttachedContext {
  context::Context context;            // keeps the span and so the published labels alive
  const ProfiledSpan* span = nullptr;  // the active span if it is ours
  pprof::TraceToken token = 0;         // 0: nothing was published
};

// Of one thread, used by that thread alone. No destructor and constant-initialised, so that it can
// lie in thread-local storage: Clear() frees. Not async-signal-safe.
class ContextStack {
 public:
  std::size_t size() const noexcept { return static_cast<std::size_t>(end_ - base_); }
  bool empty() const noexcept { return end_ == base_; }
  // 0 is the bottom.
  const AttachedContext& at(std::size_t position) const noexcept { return base_[position]; }
  const AttachedContext& top() const noexcept { return end_[-1]; }

  // Without publishing. False without memory.
  bool Push(const context::Context& context) noexcept {
    if (end_ == limit_ && !Grow()) return false;
    end_->context = context;
    ++end_;
    return true;
  }

  // Publishes for the context on top.
  void PublishTop() noexcept {
    AttachedContext& entry = end_[-1];
    const context::ContextValue value = entry.context.GetValue(trace::kSpanKey);
    const trace::Span* span = SpanIn(value);
    entry.span = AsOurs(span);
    if (entry.span != nullptr) {
      entry.token = pprof::PushTraceContext(&entry.span->labels());
      return;
    }
    pprof::TraceContext other;
    if (span != nullptr && DescribeOtherSpan(*span, &other)) {
      entry.token = pprof::PushTraceContextCopy(other);
    } else if (pprof::CurrentTraceContext() != nullptr) {
      entry.token = pprof::PushTraceContext(nullptr);
    }
  }

  // One above the topmost context that `key` (a Token or a Context) equals; 0: there is none.
  template <class Key>
  std::size_t Above(const Key& key) const noexcept {
    for (std::size_t above = size(); above > 0; --above) {
      if (key == base_[above - 1].context) return above;
    }
    return 0;
  }

  // Releasing a context may run code that attaches contexts: nothing of the stack is touched after.
  void PopTop() noexcept {
    AttachedContext& entry = *--end_;
    TakeLabels(entry);
    entry.span = nullptr;
    const context::Context released(std::move(entry.context));
  }
  // All labels go first, from below, so that what is on top stays current until the last: no
  // context in between is published, and none while spans end.
  void PopTo(std::size_t keep) noexcept {
    if (size() == keep + 1) return PopTop();
    for (std::size_t i = keep; i < size(); ++i) TakeLabels(base_[i]);
    while (size() > keep) PopTop();
  }

  // All labels go, then all contexts, then the memory. What releasing them attaches meanwhile goes
  // to a stack of its own, which stays.
  void Clear() noexcept {
    for (std::size_t above = size(); above > 0; --above) TakeLabels(base_[above - 1]);
    const ContextStack old = *this;
    *this = ContextStack();
    for (std::size_t above = old.size(); above > 0; --above) {
      old.base_[above - 1].context = context::Context();
    }
    delete[] old.base_;
  }

 private:
  static void TakeLabels(AttachedContext& entry) noexcept {
    if (entry.token != 0) pprof::PopTraceContext(entry.token);
    entry.token = 0;
  }

  [[gnu::cold, gnu::noinline]] bool Grow() noexcept {
    const std::size_t used = size();
    const std::size_t capacity = used == 0 ? 8 : 2 * used;
    auto* base = new (std::nothrow) AttachedContext[capacity];
    if (base == nullptr) return false;
    for (std::size_t i = 0; i < used; ++i) base[i] = std::move(base_[i]);
    delete[] base_;
    base_ = base;
    end_ = base + used;
    limit_ = base + capacity;
    return true;
  }

  AttachedContext* base_ = nullptr;
  AttachedContext* end_ = nullptr;
  AttachedContext* limit_ = nullptr;
};

// What a thread has of us. No destructor, no dynamic initialization.
struct ThreadContexts {
  ContextStack stack;
  std::uint32_t asked;  // counts GetCurrent() of our storage
  bool took_over;       // contexts that were attached before installation have moved to `stack`
  bool in_old;          // the storage before ours is being asked
  bool will_end;        // EndThread is registered
};

OTELPYROSCOPE_SHARED inline ThreadContexts& ThisThread() noexcept {
  static thread_local ThreadContexts contexts{};
  return contexts;
}

inline void EndThread(void*) noexcept {
  ThreadContexts& thread = ThisThread();
  thread.will_end = false;
  thread.stack.Clear();
  StopKeeping<kRoomFor<ProfiledSpan>>();
}

// Where this fails, without memory, the thread's contexts are never released.
[[gnu::cold, gnu::noinline]] inline void RegisterEnd(ThreadContexts& thread) noexcept {
  thread.will_end =
      __cxa_thread_atexit(&EndThread, nullptr, reinterpret_cast<void*>(&EndThread)) == 0;
  if (thread.will_end) KeepOne<kRoomFor<ProfiledSpan>>();
}

// Attaches on top and publishes. Without memory the context is not current, which is counted.
inline void PushAndPublish(ThreadContexts& thread, const context::Context& context) noexcept {
  if (!thread.will_end) RegisterEnd(thread);
  if (thread.stack.Push(context)) {
    thread.stack.PublishTop();
  } else {
    pprof::CountDroppedLabels();
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace otelpyroscope
