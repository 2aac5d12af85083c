// The immutable inside of a LabelSet: the bytes as the handler copies them, reference-counted.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "src/pprof/handler/thread_record.h"

namespace pprof::internal {

// One allocation: this header, then the words of `blob`.
struct LabelData {
  mutable std::atomic<std::uint32_t> references;
  handler::LabelBlob blob;
};

using LabelView = std::pair<std::string_view, std::string_view>;

// A set with one reference; nullptr when empty or without memory. Later duplicates win; what is
// reserved, empty or too much is dropped and counted. Not async-signal-safe. May throw
// std::bad_alloc.
const LabelData* MakeLabelData(const std::vector<LabelView>& labels);
// `inner` over `outer`, one reference; either may be nullptr.
const LabelData* MergeLabelData(const LabelData* outer, const LabelData* inner);

inline const LabelData* Ref(const LabelData* data) noexcept {
  if (data != nullptr) data->references.fetch_add(1, std::memory_order_relaxed);
  return data;
}
void Unref(const LabelData* data) noexcept;

// Calls f(key, value) for each label of a blob, in key order.
template <class F>
void ForEachLabel(const std::uint64_t* words, std::uint32_t bytes, F&& f) {
  const char* at = reinterpret_cast<const char*>(words);
  const char* const end = at + bytes;
  while (end - at >= 4) {
    std::uint16_t sizes[2];
    __builtin_memcpy(sizes, at, sizeof sizes);
    at += sizeof sizes;
    if (end - at < std::ptrdiff_t{sizes[0]} + sizes[1]) return;
    f(std::string_view(at, sizes[0]), std::string_view(at + sizes[0], sizes[1]));
    at += sizes[0] + sizes[1];
  }
}

}  // namespace pprof::internal
