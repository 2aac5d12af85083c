// The RuntimeContextStorages that publish labels: when a context is attached its span's labels
// become those of the thread, when it is detached the labels before come back. Installed by
// install.h.
//
// ReplacingStorage takes the place of the API's thread-local default and behaves like it: detach
// takes the topmost equal context and all above it, a token of an empty context also matches an
// empty stack, a token of another thread changes nothing. It compares and pops in place where the
// default copies contexts, and that pays for publishing. DecoratingStorage leaves everything to the
// storage that an application has installed and follows what is current there.
#pragma once

#include <cstddef>
#include <utility>

#include <opentelemetry/context/context.h>
#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/nostd/unique_ptr.h>

#include <otelpyroscope/context_stack.h>
#include <otelpyroscope/namespace.h>

namespace otelpyroscope {
inline namespace v1 {
namespace internal {

// Any thread. Not async-signal-safe.
class OTELPYROSCOPE_SHARED ReplacingStorage final : public context::RuntimeContextStorage {
 public:
  // `*old` is a ThreadLocalContextStorage and must outlive this object, which must be the installed
  // one before it is used.
  explicit ReplacingStorage(context::RuntimeContextStorage* old) noexcept : old_(old) {}

  context::Context GetCurrent() noexcept override {
    ThreadContexts& thread = Thread();
    ++thread.asked;
    return thread.stack.empty() ? context::Context() : thread.stack.top().context;
  }

  nostd::unique_ptr<context::Token> Attach(const context::Context& context) noexcept override {
    PushAndPublish(Thread(), context);
    return CreateToken(context);
  }

  bool Detach(context::Token& token) noexcept override {
    ThreadContexts& thread = Thread();
    ContextStack& stack = thread.stack;
    if (!stack.empty() && token == stack.top().context) {
      stack.PopTop();
      return true;
    }
    const std::size_t above = stack.Above(token);
    if (above == 0) return DetachFromOld(thread, token);
    stack.PopTo(above - 1);
    return true;
  }

 private:
  ThreadContexts& Thread() noexcept {
    ThreadContexts& thread = ThisThread();
    if (!thread.took_over) TakeOver(thread);
    return thread;
  }

  // What a thread attached before the installation lies below what it attaches later: otherwise a
  // detach would leave its span current for ever. Contexts on top of the old stack move to ours,
  // down to the first empty one; that and all below stay where they are until they are detached,
  // because the old storage looks the same with an empty context on top and with nothing at all.
  // Attaching a marker would tell, but may write to freed memory: this may be the destructor of a
  // thread_local object that runs after the old stack's own.
  void TakeOver(ThreadContexts& thread) noexcept {
    thread.took_over = true;
    thread.in_old = true;
    ContextStack found;  // top first
    for (;;) {
      const context::Context top = old_->GetCurrent();
      if (top == context::Context() || !found.Push(top)) break;
      const nostd::unique_ptr<context::Token> token = CreateToken(top);
      if (!old_->Detach(*token)) break;
    }
    thread.in_old = false;
    for (std::size_t i = found.size(); i > 0; --i) PushAndPublish(thread, found.at(i - 1).context);
    found.Clear();
  }

  bool DetachFromOld(ThreadContexts& thread, context::Token& token) noexcept {
    // A token that was made to ask the old storage detaches once more when it goes.
    if (thread.in_old) return false;
    thread.in_old = true;
    const bool none_of_ours = thread.stack.empty();
    const bool detached =
        none_of_ours || !(token == context::Context()) ? old_->Detach(token) : DetachEmpty(token);
    thread.in_old = false;
    if (!detached) return false;
    thread.stack.PopTo(0);
    TakeOver(thread);
    return true;
  }

  // To detach an empty context always succeeds on an empty old stack, but not under a marker.
  bool DetachEmpty(context::Token& token) noexcept {
    const context::Context marker("otelpyroscope", true);
    const nostd::unique_ptr<context::Token> on_top = old_->Attach(marker);
    if (old_->Detach(token)) return true;  // the marker as well
    old_->Detach(*on_top);
    return false;
  }

  context::RuntimeContextStorage* const old_;
};

// Any thread. Not async-signal-safe.
class OTELPYROSCOPE_SHARED DecoratingStorage final : public context::RuntimeContextStorage {
 public:
  // `*inner` must outlive this object.
  explicit DecoratingStorage(context::RuntimeContextStorage* inner) noexcept : inner_(inner) {}

  context::Context GetCurrent() noexcept override {
    ++ThisThread().asked;
    return inner_->GetCurrent();
  }

  nostd::unique_ptr<context::Token> Attach(const context::Context& context) noexcept override {
    nostd::unique_ptr<context::Token> token = inner_->Attach(context);
    PushAndPublish(ThisThread(), context);
    return token;
  }

  bool Detach(context::Token& token) noexcept override {
    const bool detached = inner_->Detach(token);
    ContextStack& stack = ThisThread().stack;
    if (detached && !stack.empty() && token == stack.top().context) stack.PopTop();
    Sync();
    return detached;
  }

  // Makes the labels those of what is current in the storage inside, which may have changed without
  // us: it may keep one stack a task, or take more than one context at once.
  void Sync() noexcept {
    const context::Context current = inner_->GetCurrent();
    ThreadContexts& thread = ThisThread();
    ContextStack& stack = thread.stack;
    if (!stack.empty()) {
      if (stack.top().context == current) return;
      stack.PopTo(stack.Above(current));
      if (!stack.empty()) return;
    }
    if (!(current == context::Context())) PushAndPublish(thread, current);
  }

 private:
  context::RuntimeContextStorage* const inner_;
};

}  // namespace internal
}  // namespace v1
}  // namespace otelpyroscope
