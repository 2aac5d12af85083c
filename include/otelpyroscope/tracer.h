// Starts spans through the tracer of the wrapped provider and gives each its labels. Made by
// tracer_provider.h. Holds the tracer inside, not the provider.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/trace/tracer.h>

#include <otelpyroscope/context_stack.h>
#include <otelpyroscope/make_shared.h>
#include <otelpyroscope/namespace.h>
#include <otelpyroscope/options.h>
#include <otelpyroscope/parent.h>
#include <otelpyroscope/span.h>
#include <otelpyroscope/span_labels.h>
#include <otelpyroscope/span_notes.h>
#include <pprof/span_record.h>

namespace otelpyroscope {
inline namespace v1 {
namespace internal {

// What StartSpan was called with, and what the tracer inside made of it.
struct StartedSpan {
  nostd::shared_ptr<trace::Span>& span;  // moved from
  trace::Span* inner;                    // the same
  const trace::SpanContext& ids;
  std::string_view name;
  const common::KeyValueIterable& attributes;
  const trace::StartSpanOptions& start;
  const Options& options;
};

// `parent` as FindParent gives it. One copy of this for both callers.
[[gnu::noinline]] inline nostd::shared_ptr<trace::Span> WrapUnder(
    const pprof::TraceContext* parent, const StartedSpan& started) noexcept {
  const trace::SpanContext& ids = started.ids;
  SpanRole role = RoleOf(*started.inner, ids, parent, started.options);
  MakeHome(started.name, kRoomFor<ProfiledSpan>, role);
  std::shared_ptr<ProfiledSpan> wrapped =
      role.home != nullptr
          ? MakeSharedIn<ProfiledSpan>(*role.home, started.span, ids, role, started.options)
          : MakeShared<ProfiledSpan>(started.span, ids, role, started.options);
  if (role.owns_id && !role.tells) SetProfileId(*started.inner, ids.span_id());
  if (wrapped == nullptr) {
    pprof::CountDroppedLabels();
    // NOLINTNEXTLINE(clang-analyzer-cplusplus.Move): moved only where there was memory
    return std::move(started.span);
  }
  if (pprof::SpansWanted()) {
    wrapped->set_record(NoteStart(wrapped->labels(), role.parent, IsSampled(*started.inner, ids),
                                  !ThisThread().stack.empty(), started.name, started.attributes,
                                  started.start));
  }
  return nostd::shared_ptr<trace::Span>(std::shared_ptr<trace::Span>(std::move(wrapped)));
}

[[gnu::noinline]] inline nostd::shared_ptr<trace::Span> WrapAfterSearch(
    bool asked_us, const StartedSpan& started) noexcept {
  context::ContextValue holder;
  return WrapUnder(FindParent(started.start, asked_us, &holder), started);
}

// Returns `span` itself when it is null or has no valid ids (attaching that means no labels), and
// without memory (it is then labelled as a span that is not ours). `asked_us`: see FindParent. Not
// async-signal-safe.
inline nostd::shared_ptr<trace::Span> WrapSpan(nostd::shared_ptr<trace::Span>& span,
                                               std::string_view name, bool asked_us,
                                               const common::KeyValueIterable& attributes,
                                               const trace::StartSpanOptions& start,
                                               const Options& options) noexcept {
  trace::Span* const inner = span.get();
  if (inner == nullptr) return std::move(span);
  const trace::SpanContext ids = inner->GetContext();
  if (!ids.IsValid()) return std::move(span);
  const StartedSpan started{span, inner, ids, name, attributes, start, options};
  const Lookup parent = FindParentOnTop(start, asked_us);
  return parent.decided ? WrapUnder(parent.labels, started) : WrapAfterSearch(asked_us, started);
}

class OTELPYROSCOPE_SHARED ProfiledTracer final : public trace::Tracer {
 public:
  ProfiledTracer(nostd::shared_ptr<trace::Tracer> inner, const Options& options) noexcept
      : inner_(std::move(inner)), options_(options) {}

  nostd::shared_ptr<trace::Span> StartSpan(
      nostd::string_view name, const common::KeyValueIterable& attributes,
      const trace::SpanContextKeyValueIterable& links,
      const trace::StartSpanOptions& options) noexcept override {
    const ThreadContexts& thread = ThisThread();
    const std::uint32_t asked = thread.asked;
    nostd::shared_ptr<trace::Span> span = inner_->StartSpan(name, attributes, links, options);
    return WrapSpan(span, std::string_view(name.data(), name.size()), thread.asked != asked,
                    attributes, options, options_);
  }

#if OPENTELEMETRY_ABI_VERSION_NO == 1
  void ForceFlushWithMicroseconds(std::uint64_t timeout) noexcept override {
    inner_->ForceFlushWithMicroseconds(timeout);
  }
  void CloseWithMicroseconds(std::uint64_t timeout) noexcept override {
    inner_->CloseWithMicroseconds(timeout);
  }
#endif

 private:
  const nostd::shared_ptr<trace::Tracer> inner_;
  const Options options_;
};

}  // namespace internal
}  // namespace v1
}  // namespace otelpyroscope
