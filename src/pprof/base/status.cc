#include "src/pprof/base/status.h"

#include <cstdio>
#include <cstring>

namespace pprof::base {

Status MakeStatus(Status::Code code, const char* message) noexcept {
  Status status;
  status.code = code;
  try {
    status.message = message;
  } catch (...) {
    status.message = "out of memory";  // short enough to need none
  }
  return status;
}

Status MakeStatus(Status::Code code, const char* why, int error, const char* remedy) noexcept {
  char text[256];
  std::snprintf(text, sizeof text, "%s%s%s", why, std::strerror(error), remedy);
  return MakeStatus(code, text);
}

}  // namespace pprof::base
