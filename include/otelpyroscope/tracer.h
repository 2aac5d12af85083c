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
  context::ContextValue holder;
  SpanRole role = RoleOf(*inner, ids, FindParent(start, asked_us, &holder), options);
  MakeHome(name, kRoomFor<ProfiledSpan>, role);
  std::shared_ptr<ProfiledSpan> wrapped =
      role.home != nullptr ? MakeSharedIn<ProfiledSpan>(*role.home, span, ids, role, options)
                           : MakeShared<ProfiledSpan>(span, ids, role, options);
  if (role.owns_id && !role.tells) SetProfileId(*inner, ids.span_id());
  if (wrapped == nullptr) {
    pprof::CountDroppedLabels();
    // NOLINTNEXTLINE(clang-analyzer-cplusplus.Move): moved only where there was memory
    return std::move(span);
  }
  if (pprof::SpansWanted()) {
    wrapped->set_record(NoteStart(wrapped->labels(), role.parent, role.sampled,
                                  !ThisThread().stack.empty(), name, attributes, start));
  }
  return nostd::shared_ptr<trace::Span>(std::shared_ptr<trace::Span>(std::move(wrapped)));
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
