// Where libcurl is missing, so that the push client is not built.

#include <cstdio>
#include <cstdlib>

#include "examples/demo/push.h"

namespace demo {

bool StartPush() {
  if (std::getenv("PYROSCOPE_SERVER_ADDRESS") == nullptr) return true;
  std::fprintf(stderr, "demo: nothing can be pushed: built without libcurl or nlohmann-json\n");
  return false;
}

void StopPush() {}

}  // namespace demo
