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
    ContextStack& stack = Thread().stack;
    if (stack.empty()) return token == context::Context();
    if (token == stack.top().context) {
      stack.PopTop();
      return true;
    }
    const std::size_t above = stack.Above(token);
    if (above == 0) return false;
    stack.PopTo(above - 1);
    return true;
  }

 private:
  ThreadContexts& Thread() noexcept {
    ThreadContexts& thread = ThisThread();
    if (!thread.took_over) TakeOver(thread);
    return thread;
  }

  // Moves what this thread attached before the installation from the old stack to ours: otherwise a
  // detach that is not forwarded would leave its span current for ever. The tokens made here detach
  // from this storage when they go, which finds nothing yet.
  void TakeOver(ThreadContexts& thread) noexcept {
    thread.took_over = true;
    ContextStack found;  // top first
    context::Context context;
    while (TakeTop(&context) && found.Push(context)) {
    }
    for (std::size_t i = found.size(); i > 0; --i) PushAndPublish(thread, found.at(i - 1).context);
    found.Clear();
  }

  // Takes the topmost context off the old stack; false when that is empty. GetCurrent() is empty
  // both for an empty stack and for an empty context on top. Under a marker that lies on top,
  // detaching an empty context tells them apart: it fails unless one is in the stack, and else
  // takes the marker away with it.
  bool TakeTop(context::Context* taken) noexcept {
    *taken = old_->GetCurrent();
    const nostd::unique_ptr<context::Token> top = CreateToken(*taken);
    if (!(*taken == context::Context())) return old_->Detach(*top);
    const context::Context marker("otelpyroscope", true);
    const nostd::unique_ptr<context::Token> on_top = old_->Attach(marker);
    if (old_->Detach(*top)) return true;
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
