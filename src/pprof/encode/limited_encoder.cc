#include "src/pprof/encode/limited_encoder.h"

#include <algorithm>
#include <limits>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "src/pprof/encode/partial_profile.h"
#include "src/pprof/encode/pprof_encoder.h"

namespace pprof::encode {
namespace {

using profile::Profile;
using profile::Sample;
using profile::StringId;

constexpr std::string_view kSpanName = "span_name";
constexpr std::string_view kOther = "other";

std::size_t OrUnlimited(std::size_t limit) {
  return limit == 0 ? std::numeric_limits<std::size_t>::max() : limit;
}

EncodedProfile Encode(const Profile& profile) {
  EncodedProfile encoded;
  const base::LargeString bytes = EncodePprof(profile);
  encoded.raw_bytes = bytes.size();
  const bool compressed = WriteGzip(bytes, [&](std::string_view piece) {
    encoded.gzip += piece;
    return true;
  });
  if (!compressed) throw std::bad_alloc();
  encoded.time_ns = profile.time_ns;
  encoded.duration_ns = profile.duration_ns;
  for (const Sample& sample : profile.samples) {
    encoded.samples += static_cast<std::uint64_t>(sample.count);
  }
  return encoded;
}

struct SampleHash {
  std::size_t operator()(const Sample* sample) const noexcept {
    std::uint64_t hash = sample->locations.size();
    const auto mix = [&](std::uint64_t value) {
      hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
      hash ^= hash >> 32;
    };
    for (const std::uint32_t location : sample->locations) mix(location);
    for (const profile::Label& label : sample->labels) {
      mix(std::uint64_t{label.key} << 32 | label.value);
    }
    return static_cast<std::size_t>(hash);
  }
};
struct SampleEqual {
  bool operator()(const Sample* a, const Sample* b) const noexcept {
    return a->locations == b->locations &&
           std::equal(a->labels.begin(), a->labels.end(), b->labels.begin(), b->labels.end(),
                      [](const profile::Label& x, const profile::Label& y) {
                        return x.key == y.key && x.value == y.value;
                      });
  }
};

// Span names of a window beyond the allowed number become one. The heaviest names stay.
class SpanNameMerger {
 public:
  SpanNameMerger(const Profile& profile, std::size_t max_names) : profile_(profile) {
    std::unordered_map<StringId, std::int64_t> weights;
    for (const Sample& sample : profile.samples) {
      for (const profile::Label& label : sample.labels) {
        if (profile.strings()[label.key] == kSpanName) weights[label.value] += sample.count;
      }
    }
    if (weights.size() <= max_names) return;
    std::vector<std::pair<std::int64_t, StringId>> order;
    order.reserve(weights.size());
    for (const auto& [name, weight] : weights) order.emplace_back(-weight, name);
    std::sort(order.begin(), order.end());
    for (std::size_t i = max_names - 1; i < order.size(); ++i) merged_.insert(order[i].second);
  }

  bool any() const { return !merged_.empty(); }

  // The samples with merged names; equal ones are one. `other`: the id of that name.
  base::LargeVector<Sample> Run(StringId other, std::uint64_t* merged_samples) const {
    base::LargeVector<Sample> samples;
    samples.reserve(profile_.samples.size());  // their addresses are kept below
    std::unordered_map<const Sample*, Sample*, SampleHash, SampleEqual> known;
    for (const Sample& from : profile_.samples) {
      Sample sample = from;
      for (profile::Label& label : sample.labels) {
        if (profile_.strings()[label.key] != kSpanName || merged_.count(label.value) == 0) continue;
        label.value = other;
        *merged_samples += static_cast<std::uint64_t>(sample.count);
      }
      const auto found = known.find(&sample);
      if (found != known.end()) {
        found->second->count += sample.count;
        continue;
      }
      samples.push_back(std::move(sample));
      known.emplace(&samples.back(), &samples.back());
    }
    return samples;
  }

 private:
  const Profile& profile_;
  std::unordered_set<StringId> merged_;
};

class Splitter {
 public:
  // Takes the profile's samples.
  Splitter(Profile& profile, const ProfileLimits& limits)
      : profile_(profile),
        limits_(limits),
        max_samples_(OrUnlimited(limits.max_samples)),
        max_bytes_(OrUnlimited(limits.max_bytes)) {}

  EncodedWindow Run() {
    std::optional<PartialProfile> part;
    part.emplace(profile_, limits_, &out_.repairs);
    for (Sample& sample : profile_.samples) {
      std::size_t frames = sample.locations.size();
      std::size_t cost = part->CostOf(sample, frames);
      if (part->samples() == max_samples_ || part->bytes() + cost > max_bytes_) {
        if (part->samples() > 0) {
          Finish(&*part);
          part.emplace(profile_, limits_, &out_.repairs);
        }
        frames = FramesThatFit(sample, &*part);
        cost = part->CostOf(sample, frames);
      }
      part->Add(std::move(sample), frames, cost);
    }
    Finish(&*part);
    out_.repairs.splits = out_.profiles.size() - 1;
    return std::move(out_);
  }

 private:
  // Of an empty part: how many of the leaf-most frames a single sample may have.
  std::size_t FramesThatFit(const Sample& sample, PartialProfile* part) const {
    std::size_t low = 0;
    std::size_t high = sample.locations.size();
    while (low < high) {
      const std::size_t middle = high - (high - low) / 2;
      if (part->bytes() + part->CostOf(sample, middle) <= max_bytes_) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

  // A receiver knows the profiles of one series by their time: each gets its own.
  void Finish(PartialProfile* part) {
    Profile profile = part->Take();
    if (out_.profiles.empty()) {
      for (const StringId comment : profile_.comments) {
        profile.comments.push_back(profile.Intern(profile_.strings()[comment]));
      }
    }
    profile.time_ns += static_cast<std::int64_t>(out_.profiles.size());
    out_.profiles.push_back(Encode(profile));
  }

  Profile& profile_;
  const ProfileLimits& limits_;
  const std::size_t max_samples_;
  const std::size_t max_bytes_;
  EncodedWindow out_;
};

bool Unlimited(const ProfileLimits& limits) {
  return limits.max_samples == 0 && limits.max_bytes == 0 && limits.max_span_names == 0 &&
         limits.max_labels_per_sample == 0 && limits.max_label_name_bytes == 0 &&
         limits.max_label_value_bytes == 0 && limits.max_string_bytes == 0 &&
         !limits.name_every_location;
}

}  // namespace

EncodedWindow EncodeLimited(Profile profile, const ProfileLimits& limits) {
  EncodedWindow window;
  if (Unlimited(limits)) {
    window.profiles.push_back(Encode(profile));
    return window;
  }
  std::uint64_t merged = 0;
  const SpanNameMerger merger(profile, OrUnlimited(limits.max_span_names));
  if (merger.any()) profile.samples = merger.Run(profile.Intern(kOther), &merged);
  window = Splitter(profile, limits).Run();
  window.repairs.span_names_merged = merged;
  return window;
}

}  // namespace pprof::encode
