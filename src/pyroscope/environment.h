// What the environment says: how each kind of variable is read. Which variables there are stands in
// settings.cc and docs/environment.md.
#pragma once

#include <pprof/log.h>
#include <pprof/status.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace pyroscope::internal {

// The value of a variable; unset and empty are the same.
using Environment = std::function<std::string(const char* name)>;

// Of this process. Reads when called: only on the thread that calls Start, because other threads
// may change the environment.
Environment ProcessEnvironment();

using StringMap = std::map<std::string, std::string>;

// Each parser says what is wrong without the name of the variable; the caller adds it.

// "name=value,name=value"; ':' instead of '=' too. Blanks around names and values do not count.
pprof::Result<StringMap> ParseLabels(std::string_view text);
// A JSON object of strings.
pprof::Result<StringMap> ParseJsonObject(const std::string& text);
// "10s", "1m30s", "500ms".
pprof::Result<std::chrono::milliseconds> ParseDuration(std::string_view text);
// true, false, 1, 0, in either case.
pprof::Result<bool> ParseBool(std::string_view text);
pprof::Result<pprof::LogLevel> ParseLogLevel(std::string_view text);
// OTEL_RESOURCE_ATTRIBUTES: "key=value,key=value", percent-encoded.
pprof::Result<StringMap> ParseResourceAttributes(std::string_view text);

}  // namespace pyroscope::internal
