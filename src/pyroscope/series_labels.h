// The labels of a pushed series, and the rules that Pyroscope and what stands before it have for
// them.
#pragma once

#include <pprof/profile_source.h>
#include <pprof/status.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace pyroscope::internal {

using Tags = std::map<std::string, std::string>;
using SeriesLabels = std::vector<std::pair<std::string, std::string>>;

// The rules of Config::tags. `field`: where they come from, for the message.
pprof::Status CheckTags(const Tags& tags, const std::string& service_name);

pprof::Status CheckServiceName(const std::string& name);

// __name__, service_name, the tags, and default labels that no tag replaces; by name. Tags with an
// empty value are left out.
SeriesLabels MakeSeriesLabels(const std::string& service_name, const Tags& tags);

// What Pyroscope takes of a profile that is pushed under `labels`.
pprof::ProfileLimits PushLimits(const SeriesLabels& labels);

}  // namespace pyroscope::internal
