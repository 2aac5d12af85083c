// The headers of a push request: what is sent by itself, what the user adds, and what may not be
// sent at all.
#pragma once

#include <pprof/status.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/pyroscope/environment.h"

namespace pyroscope::internal {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Credentials {
  std::string user;
  std::string password;
  std::string tenant_id;
};

// Names as RFC 9110 has them, values without line breaks, nothing that frames the message.
pprof::Status CheckHeaders(const StringMap& headers);
pprof::Status CheckCredentials(const Credentials& credentials);

// REQUIRES: both are checked. Custom headers replace those of the same name, in any case of
// letters.
Headers MakeHeaders(const Credentials& credentials, const StringMap& custom);

// Texts of these that a log line must not hold.
std::vector<std::string> SecretsOf(const Credentials& credentials, const StringMap& custom);

std::string Base64(std::string_view bytes);

// "A" and "a" are one header.
std::string LowerCase(std::string_view text);

}  // namespace pyroscope::internal
