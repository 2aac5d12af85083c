// A Profile that takes over samples of another one, with only what they need, and knows how large
// its pprof message can become.
#pragma once

#include <pprof/profile_source.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/pprof/profile/profile.h"

namespace pprof::encode {

// Not thread-safe. Throws std::bad_alloc only.
class PartialProfile {
 public:
  // Both outlive this object. `repairs` counts what was shortened.
  PartialProfile(const profile::Profile& source, const ProfileLimits& limits,
                 ProfileRepairs* repairs);

  // By how much the message grows at most with the leaf-most `frames` frames of this sample.
  std::size_t CostOf(const profile::Sample& sample, std::size_t frames);
  // Takes them over, and the sample's memory with them; fewer than it has are marked with a root
  // frame "[truncated]". `cost`: as CostOf says now.
  void Add(profile::Sample&& sample, std::size_t frames, std::size_t cost);

  // Upper bound of the message's size.
  std::size_t bytes() const { return bytes_; }
  std::size_t samples() const { return profile_.samples.size(); }
  // The finished profile. Ends the life of this object.
  profile::Profile Take();

 private:
  static constexpr std::uint32_t kNone = ~0u;

  std::string_view Cut(std::string_view text, std::size_t limit);
  profile::StringId String(profile::StringId id, std::size_t limit);
  std::int32_t Mapping(std::int32_t index);
  std::uint32_t Function(std::uint32_t index);
  std::uint32_t Location(std::uint32_t index);
  std::int32_t Unmapped();
  std::uint32_t Truncated();
  std::string FallbackName(const profile::Location& location) const;
  void KeepLabels(std::vector<profile::Label>* labels);

  std::size_t StringCost(profile::StringId id);
  std::size_t MappingCost(std::int32_t index);
  std::size_t LocationCost(std::uint32_t index);

  const profile::Profile& source_;
  const ProfileLimits& limits_;
  ProfileRepairs* repairs_;
  profile::Profile profile_;
  std::size_t bytes_;
  // From indices of the source to ours; kNone: not taken over.
  std::vector<std::uint32_t> strings_, mappings_, functions_, locations_;
  // What the present CostOf has counted already.
  std::uint32_t visit_ = 0;
  std::vector<std::uint32_t> string_visits_, mapping_visits_, function_visits_, location_visits_;
  std::int32_t unmapped_ = -1;  // the mapping of locations that have none, if each must have one
  std::uint32_t truncated_ = kNone;
};

}  // namespace pprof::encode
