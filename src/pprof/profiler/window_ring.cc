#include "src/pprof/profiler/window_ring.h"

#include <utility>

namespace pprof::profiler {
namespace {

// About what it takes in memory.
std::size_t BytesOf(const profile::Profile& profile) {
  constexpr std::size_t kAllocation = 16;
  constexpr std::size_t kFunction = sizeof(profile::Function) + 64;  // with its place in the index
  constexpr std::size_t kString = 32;
  std::size_t bytes = sizeof(profile) + profile.functions.size() * kFunction +
                      profile.mappings.size() * sizeof(profile::Mapping);
  for (const std::string_view text : profile.strings()) bytes += kString + text.size();
  for (const profile::Location& location : profile.locations) {
    bytes += sizeof(location) + kAllocation + location.lines.capacity() * sizeof(profile::Line);
  }
  for (const profile::Sample& sample : profile.samples) {
    bytes += sizeof(sample) + 2 * kAllocation +
             sample.locations.capacity() * sizeof(std::uint32_t) +
             sample.labels.capacity() * sizeof(profile::Label);
  }
  return bytes;
}

}  // namespace

void WindowRing::Add(profile::Profile profile) {
  const std::size_t bytes = BytesOf(profile);
  const std::int64_t oldest = profile.time_ns + profile.duration_ns - keep_ns_;
  kept_.push_back({std::make_shared<const profile::Profile>(std::move(profile)), bytes});
  bytes_ += bytes;
  while (kept_.size() > 1) {
    const Kept& first = kept_.front();
    const bool old = first.profile->time_ns + first.profile->duration_ns < oldest;
    if (!old && bytes_ <= max_bytes_) return;
    bytes_ -= first.bytes;
    kept_.pop_front();
  }
}

view::Windows WindowRing::All() const {
  view::Windows windows;
  for (const Kept& kept : kept_) windows.push_back(kept.profile);
  return windows;
}

}  // namespace pprof::profiler
