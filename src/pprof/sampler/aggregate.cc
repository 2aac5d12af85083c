#include "src/pprof/sampler/aggregate.h"

#include <algorithm>
#include <cstring>

#include "src/pprof/handler/walk.h"

namespace pprof::sampler {
namespace {

std::atomic<std::size_t> g_aggregate_bytes{0};

// First word of the stack of a sample of kind kExitCorrection: no version of modules.
constexpr std::uint64_t kExitCorrectionStack = ~std::uint64_t{0};

// First word of a context. The handler's limits (255 bytes of name, 2 KiB of labels) keep the
// fields in their bits.
std::uint64_t PackContext(const handler::SampleHeader& sample) {
  return std::uint64_t{sample.labels} | std::uint64_t{sample.has_name} << 8 |
         std::uint64_t{sample.name_bytes} << 16 | std::uint64_t{sample.label_bytes} << 32;
}

}  // namespace

std::string_view SpecialFrameName(Special special) noexcept {
  switch (special) {
    case Special::kLostRingFull:
      return "[lost: ring full]";
    case Special::kLostNoRing:
      return "[lost: no ring]";
    case Special::kLostReentrant:
      return "[lost: handler interrupted itself]";
    case Special::kExitCorrection:
      return "[thread exit correction]";
    case Special::kExitEstimated:
      return "[thread exit, estimated]";
    case Special::kStorageFull:
      return "[stack storage full]";
    case Special::kTimerRefused:
      return "[not sampled: timer refused]";
    case Special::kUnseenThreads:
      return "[not sampled: threads that ended unseen]";
    case Special::kSignalBlocked:
      return "[not sampled: SIGPROF blocked]";
    case Special::kHandlerTaken:
      return "[not sampled: SIGPROF taken by another handler]";
    case Special::kPausedForExec:
      return "[not sampled: paused for exec]";
    case Special::kCount:
      break;
  }
  return "[unknown]";
}

std::size_t AggregateBytes() noexcept { return g_aggregate_bytes.load(std::memory_order_relaxed); }

Aggregate::~Aggregate() { g_aggregate_bytes.fetch_sub(accounted_, std::memory_order_relaxed); }

void Aggregate::Account() noexcept {
  const std::size_t now = stacks_.bytes() + contexts_.bytes() + counts_.bytes();
  g_aggregate_bytes.fetch_add(now - accounted_, std::memory_order_relaxed);
  accounted_ = now;
}

bool Aggregate::Add(const handler::SampleHeader& sample, std::uint64_t module_version) noexcept {
  bool added = false;
  try {
    added = AddCounted(sample, module_version);
  } catch (...) {  // no memory
  }
  Account();
  if (!added) AddSpecial(Special::kStorageFull, sample.weight);
  return added;
}

bool Aggregate::AddCounted(const handler::SampleHeader& sample, std::uint64_t module_version) {
  const std::size_t others = AggregateBytes() - accounted_;
  const std::size_t own_limit = kAggregateBytesCap > others ? kAggregateBytesCap - others : 0;
  const auto limit_for = [&](const auto& table) {
    const std::size_t all = stacks_.bytes() + contexts_.bytes() + counts_.bytes();
    const std::size_t rest = all - table.bytes();
    return own_limit > rest ? own_limit - rest : 0;
  };
  const auto* body = reinterpret_cast<const std::uint64_t*>(&sample + 1);
  const std::uint32_t frames_at =
      sample.words - static_cast<std::uint32_t>(sizeof sample / 8) - sample.frames;

  std::uint64_t stack[handler::kMaxFrames + 1];
  const bool truncated = sample.walk_end == static_cast<std::uint8_t>(handler::WalkEnd::kTruncated);
  stack[0] = sample.kind == handler::RecordKind::kExitCorrection
                 ? kExitCorrectionStack
                 : module_version << 1 | (truncated ? 1 : 0);
  std::copy_n(body + frames_at, sample.frames, stack + 1);
  const std::uint32_t stack_id = stacks_.Intern({stack, sample.frames + 1u}, limit_for(stacks_));
  if (stack_id == WordTable::kFull) return false;

  std::uint64_t context[4 + (255 + 7) / 8 + 2048 / 8] = {PackContext(sample), sample.trace_id[0],
                                                         sample.trace_id[1], sample.span_id};
  const std::uint32_t text = std::min<std::uint32_t>(
      frames_at, static_cast<std::uint32_t>(sizeof context / sizeof context[0] - 4));
  std::copy_n(body, text, context + 4);
  const std::uint32_t context_id = contexts_.Intern({context, text + 4}, limit_for(contexts_));
  if (context_id == WordTable::kFull) return false;

  const std::uint64_t key = std::uint64_t{stack_id} << 32 | context_id;
  return counts_.Add(key, sample.weight, limit_for(counts_));
}

StackView Aggregate::DecodeStack(std::uint32_t id) const {
  const WordTable::View words = stacks_.at(id);
  const bool exit_correction = words.words[0] == kExitCorrectionStack;
  return {words.words[0] >> 1, !exit_correction && (words.words[0] & 1) != 0, exit_correction,
          words.words + 1, words.count - 1};
}

ContextView Aggregate::DecodeContext(std::uint32_t id) const {
  const WordTable::View words = contexts_.at(id);
  const std::uint64_t packed = words.words[0];
  ContextView view;
  view.has_span_id = (packed & kSpanIdLabel) != 0;
  view.has_trace_id = (packed & kTraceIdLabel) != 0;
  view.has_span_name = (packed >> 8 & 0xff) != 0;
  std::memcpy(view.trace_id, &words.words[1], sizeof view.trace_id);
  std::memcpy(view.span_id, &words.words[3], sizeof view.span_id);
  const std::size_t name_bytes = packed >> 16 & 0xffff;
  view.span_name = {reinterpret_cast<const char*>(&words.words[4]), name_bytes};
  view.label_words = &words.words[4] + (name_bytes + 7) / 8;
  view.label_bytes = static_cast<std::uint32_t>(packed >> 32);
  return view;
}

}  // namespace pprof::sampler
