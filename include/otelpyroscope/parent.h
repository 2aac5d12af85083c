// Finds the labels of a new span's parent, if the parent is a span of this process: first as the
// SDK does (a valid parent in the options, else the current context), then by its identity. Used by
// tracer.h.
//
// A parent counts as local only if it is a span of ours: in the given Context, or, where only its
// ids are known, among the contexts attached on this thread. Otherwise the new span is a local root
// of its own: its profile is complete and nothing is guessed.
#pragma once

#include <cstddef>

#include <opentelemetry/context/context.h>
#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/nostd/variant.h>
#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/span_context.h>
#include <opentelemetry/trace/span_startoptions.h>

#include <otelpyroscope/context_stack.h>
#include <otelpyroscope/install.h>
#include <otelpyroscope/namespace.h>
#include <otelpyroscope/span_labels.h>
#include <pprof/trace_context.h>

namespace otelpyroscope {
inline namespace v1 {
namespace internal {

// A thread that forgot to detach may have very many contexts.
constexpr std::size_t kMaxSearched = 256;

// What is pushed now comes first: a SpanGuard is no attached context.
inline const pprof::TraceContext* FindByIds(const trace::SpanContext& ids) noexcept {
  if (!ids.IsValid() || ids.IsRemote()) return nullptr;
  const pprof::TraceContext* current = pprof::CurrentTraceContext();
  if (current != nullptr && (current->reserved[0] & kLocal) != 0 && HasIds(*current, ids)) {
    return current;
  }
  const ContextStack& stack = ThisThread().stack;
  const std::size_t size = stack.size();
  const std::size_t bottom = size > kMaxSearched ? size - kMaxSearched : 0;
  for (std::size_t above = size; above > bottom; --above) {
    const ProfiledSpan* span = stack.at(above - 1).span;
    if (span != nullptr && HasIds(span->labels(), ids)) return &span->labels();
  }
  return nullptr;
}

// A parent that is named, or nullptr where it is known that there shall be none.
struct Lookup {
  bool decided = false;
  const pprof::TraceContext* labels = nullptr;
};

// `*holder` keeps the result alive.
inline Lookup ParentIn(const context::Context& context, context::ContextValue* holder) noexcept {
  *holder = context.GetValue(trace::kSpanKey);
  const trace::Span* span = SpanIn(*holder);
  if (const ProfiledSpan* ours = AsOurs(span)) return {true, &ours->labels()};
  if (span != nullptr) {
    const trace::SpanContext ids = span->GetContext();
    if (ids.IsValid()) return {true, FindByIds(ids)};
  }
  return {trace::IsRootSpan(context), nullptr};
}

// What is current, where that is known without a copy of its context. `asked_us`: see FindParent.
inline Lookup OnTop(bool asked_us) noexcept {
  if (!asked_us || TheInstallation().decorating.load(std::memory_order_relaxed) != nullptr) {
    return {};
  }
  const ContextStack& stack = ThisThread().stack;
  if (stack.empty()) return {true, nullptr};
  const ProfiledSpan* ours = stack.top().span;
  return ours != nullptr ? Lookup{true, &ours->labels()} : Lookup();
}

// What FindParent finds, for less, where nothing has to be kept alive for it: for most spans.
inline Lookup FindParentOnTop(const trace::StartSpanOptions& options, bool asked_us) noexcept {
  const auto* ids = nostd::get_if<trace::SpanContext>(&options.parent);
  return ids != nullptr && !ids->IsValid() ? OnTop(asked_us) : Lookup();
}

inline const pprof::TraceContext* CurrentParent(bool asked_us,
                                                context::ContextValue* holder) noexcept {
  const Lookup top = OnTop(asked_us);
  if (top.decided) return top.labels;
  return ParentIn(context::RuntimeContext::GetCurrent(), holder).labels;
}

// `asked_us`: whether the tracer inside asked our storage what is current when it started the span,
// as the SDK does. Where it did not, ours may have been replaced, and that is looked into: to look
// each time would cost as much as the rest of this. The result is good until the calling thread's
// next push, pop, attach or detach, and as long as `options` and `*holder`. Not async-signal-safe.
inline const pprof::TraceContext* FindParent(const trace::StartSpanOptions& options, bool asked_us,
                                             context::ContextValue* holder) noexcept {
  if (!asked_us) CheckStorage();
  if (const auto* ids = nostd::get_if<trace::SpanContext>(&options.parent)) {
    if (ids->IsValid()) return FindByIds(*ids);
  } else if (const auto* context = nostd::get_if<context::Context>(&options.parent)) {
    const Lookup found = ParentIn(*context, holder);
    if (found.decided) return found.labels;
  }
  return CurrentParent(asked_us, holder);
}

}  // namespace internal
}  // namespace v1
}  // namespace otelpyroscope
