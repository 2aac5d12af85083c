#include "src/pprof/handler/thread_record.h"

namespace pprof::handler {

// Zero-initialised memory is the right initial state of every member, and nothing runs at exit.
Shared g_shared{};

}  // namespace pprof::handler
