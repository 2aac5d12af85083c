#include "src/pprof/sampler/operation_books.h"

#include <cstring>
#include <iterator>
#include <utility>

#include "src/pprof/sampler/timer.h"

namespace pprof::sampler {
namespace {

using handler::SampleHeader;

constexpr std::size_t kHeaderWords = sizeof(SampleHeader) / 8;

OperationBooks::Sample MakeSample(const SpanName* name, const handler::LabelBlob* labels) {
  const std::uint32_t name_bytes = name == nullptr ? 0 : name->size;
  const std::size_t name_words = (name_bytes + 7) / 8;
  const std::uint32_t label_bytes = labels == nullptr ? 0 : labels->bytes;
  OperationBooks::Sample sample(kHeaderWords + name_words + (label_bytes + 7) / 8);
  SampleHeader header{};
  header.words = static_cast<std::uint32_t>(sample.size());
  header.kind = handler::RecordKind::kExitCorrection;
  header.labels = kNoTraceLabels;
  header.has_name = name != nullptr;
  header.name_bytes = static_cast<std::uint16_t>(name_bytes);
  header.label_bytes = label_bytes;
  std::memcpy(sample.data(), &header, sizeof header);
  std::uint64_t* const body = sample.data() + kHeaderWords;
  if (name_bytes > 0) std::memcpy(body, name->text, name_bytes);
  if (label_bytes > 0) std::memcpy(body + name_words, labels->words, label_bytes);
  return sample;
}

OperationBooks::Sample WithWeight(OperationBooks::Sample sample, std::int64_t weight) {
  SampleHeader header;
  std::memcpy(&header, sample.data(), sizeof header);
  header.weight = static_cast<std::uint32_t>(weight);
  header.time_ns = static_cast<std::uint64_t>(MonotonicNs());
  std::memcpy(sample.data(), &header, sizeof header);
  return sample;
}

}  // namespace

void OperationBooks::Reset(std::int64_t period_ns) noexcept {
  period_ns_ = period_ns;
  balances_ns_.clear();
}

bool OperationBooks::Add(const SpanName* name, const handler::LabelBlob* labels,
                         std::int64_t ns) noexcept {
  try {
    Sample key = MakeSample(name, labels);
    const auto known = balances_ns_.find(key);
    if (known == balances_ns_.end() && balances_ns_.size() >= kMostOperations) return false;
    if (known == balances_ns_.end()) {
      balances_ns_.emplace(std::move(key), ns);
    } else {
      known->second += ns;
    }
    return true;
  } catch (...) {
    return false;
  }
}

std::int64_t OperationBooks::Settle() noexcept {
  const bool crowded = balances_ns_.size() > kMostOperations / 2;
  std::int64_t dropped_ns = 0;
  for (auto at = balances_ns_.begin(); at != balances_ns_.end();) {
    const std::int64_t due = at->second / period_ns_;
    try {
      if (due > 0) {
        owed_.push_back(WithWeight(at->first, due));
        at->second -= due * period_ns_;
      }
    } catch (...) {  // stays in its balance
    }
    const bool drop = crowded && at->second < period_ns_;
    if (drop) dropped_ns += at->second;
    at = drop ? balances_ns_.erase(at) : std::next(at);
  }
  return dropped_ns;
}

std::int64_t OperationBooks::Clear() noexcept {
  std::int64_t sum_ns = 0;
  for (const auto& [operation, balance_ns] : balances_ns_) sum_ns += balance_ns;
  balances_ns_.clear();
  return sum_ns;
}

void OperationBooks::TakeOwed(std::vector<Sample>* owed) {
  owed->reserve(owed->size() + owed_.size());
  for (Sample& sample : owed_) owed->push_back(std::move(sample));
  owed_.clear();
}

}  // namespace pprof::sampler
