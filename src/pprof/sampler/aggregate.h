// The samples of one profile, counted by stack and context. A context is what becomes labels: ids,
// span name, user labels. The memory of all aggregates of the process has one cap; beyond it a
// sample's weight is kept under a frame.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <pprof/trace_context.h>

#include "src/pprof/handler/ring.h"
#include "src/pprof/sampler/count_table.h"
#include "src/pprof/sampler/word_table.h"

namespace pprof::sampler {

// Samples without a stack of their own. Each is one named frame in the profile.
enum class Special : std::uint8_t {
  kLostRingFull,
  kLostNoRing,
  kLostReentrant,
  kExitCorrection,
  kExitEstimated,
  kStorageFull,
  kTimerRefused,
  kUnseenThreads,
  kSignalBlocked,
  kHandlerTaken,
  kPausedForExec,
  kCount,
};
std::string_view SpecialFrameName(Special special) noexcept;

// Sixteen MiB for all running profiles together (DESIGN: 32 MiB in all, rings and thread records
// take up to 10).
inline constexpr std::size_t kAggregateBytesCap = 16u << 20;
// Bytes in use by all aggregates of the process.
std::size_t AggregateBytes() noexcept;

// A decoded context; views point into the aggregate.
struct ContextView {
  bool has_span_id = false;
  bool has_trace_id = false;
  bool has_span_name = false;
  std::uint8_t span_id[8] = {};
  std::uint8_t trace_id[16] = {};
  std::string_view span_name;
  const std::uint64_t* label_words = nullptr;  // internal::ForEachLabel reads them
  std::uint32_t label_bytes = 0;
};

struct StackView {
  std::uint64_t module_version = 0;  // of the ModuleList that explains the addresses
  bool truncated = false;
  bool exit_correction = false;        // no addresses: stands under the frame of kExitCorrection
  const std::uint64_t* pcs = nullptr;  // leaf first
  std::uint32_t count = 0;
};

// Not thread-safe. Not async-signal-safe. Nothing throws: without memory a sample counts as
// kStorageFull.
class Aggregate {
 public:
  Aggregate() = default;
  ~Aggregate();
  Aggregate(const Aggregate&) = delete;
  Aggregate& operator=(const Aggregate&) = delete;

  // False: counted as kStorageFull.
  bool Add(const handler::SampleHeader& sample, std::uint64_t module_version) noexcept;
  void AddSpecial(Special special, std::uint64_t weight) noexcept {
    specials_[static_cast<int>(special)] += weight;
  }

  // f(const StackView&, const ContextView&, std::uint64_t weight), in no order.
  template <class F>
  void ForEach(F&& f) const {
    counts_.ForEach([&](std::uint64_t key, std::uint64_t weight) {
      f(DecodeStack(static_cast<std::uint32_t>(key >> 32)),
        DecodeContext(static_cast<std::uint32_t>(key)), weight);
    });
  }
  std::uint64_t special(Special special) const { return specials_[static_cast<int>(special)]; }

 private:
  StackView DecodeStack(std::uint32_t id) const;
  ContextView DecodeContext(std::uint32_t id) const;
  bool AddCounted(const handler::SampleHeader& sample, std::uint64_t module_version);
  void Account() noexcept;

  WordTable stacks_;
  WordTable contexts_;
  CountTable counts_;  // stack id << 32 | context id -> weight
  std::uint64_t specials_[static_cast<int>(Special::kCount)] = {};
  std::size_t accounted_ = 0;
};

}  // namespace pprof::sampler
