#include "src/pprof/labels/label_data.h"

#include <pprof/labels.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <new>

#include "src/pprof/labels/thread.h"

namespace pprof::internal {
namespace {

bool Reserved(std::string_view key) noexcept {
  return key == "span_id" || key == "trace_id" || key == "span_name" || key == "profile_id";
}

void CountDropped(std::uint64_t n) noexcept {
  labels::g_label_counters.labels_dropped.fetch_add(n, std::memory_order_relaxed);
}

const LabelData* Build(const std::map<std::string_view, std::string_view>& labels,
                       std::size_t bytes) {
  if (labels.empty()) return nullptr;
  const std::size_t words = (bytes + 7) / 8;
  void* memory = std::calloc(1, sizeof(LabelData) + words * 8);
  if (memory == nullptr) {
    CountDropped(labels.size());
    return nullptr;
  }
  auto* data = new (memory) LabelData();
  data->references.store(1, std::memory_order_relaxed);
  auto* at = reinterpret_cast<char*>(data + 1);
  data->blob = {static_cast<std::uint32_t>(bytes), static_cast<std::uint32_t>(labels.size()),
                reinterpret_cast<const std::uint64_t*>(at)};
  for (const auto& [key, value] : labels) {
    const std::uint16_t sizes[2] = {static_cast<std::uint16_t>(key.size()),
                                    static_cast<std::uint16_t>(value.size())};
    std::memcpy(at, sizes, sizeof sizes);
    at += sizeof sizes;
    std::memcpy(at, key.data(), key.size());
    at += key.size();
    if (!value.empty()) std::memcpy(at, value.data(), value.size());
    at += value.size();
  }
  return data;
}

}  // namespace

const LabelData* MakeLabelData(const std::vector<LabelView>& labels) {
  std::map<std::string_view, std::string_view> kept;
  std::size_t bytes = 0;
  std::uint64_t dropped = 0;
  for (const auto& [key, value] : labels) {
    const auto old = kept.find(key);
    const std::size_t freed = old == kept.end() ? 0 : 4 + key.size() + old->second.size();
    const std::size_t needed = 4 + key.size() + value.size();
    if (key.empty() || Reserved(key) || bytes - freed + needed > kMaxLabelSetBytes) {
      ++dropped;
      continue;
    }
    bytes += needed - freed;
    kept[key] = value;
  }
  if (dropped > 0) CountDropped(dropped);
  return Build(kept, bytes);
}

const LabelData* MergeLabelData(const LabelData* outer, const LabelData* inner) {
  if (outer == nullptr) return Ref(inner);
  if (inner == nullptr) return Ref(outer);
  // The inner labels first: they are the ones that must not fall to the size limit.
  std::vector<LabelView> all;
  ForEachLabel(inner->blob.words, inner->blob.bytes,
               [&](std::string_view key, std::string_view value) { all.emplace_back(key, value); });
  const std::size_t own = all.size();
  ForEachLabel(outer->blob.words, outer->blob.bytes,
               [&](std::string_view key, std::string_view value) {
                 for (std::size_t i = 0; i < own; ++i) {
                   if (all[i].first == key) return;
                 }
                 all.emplace_back(key, value);
               });
  return MakeLabelData(all);
}

void Unref(const LabelData* data) noexcept {
  if (data == nullptr) return;
  if (data->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    std::free(const_cast<LabelData*>(data));
  }
}

}  // namespace pprof::internal
