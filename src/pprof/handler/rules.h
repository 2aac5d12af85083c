// The encoding of rules for the architecture that is compiled for.
#pragma once

#if defined(__x86_64__)
#include "src/pprof/handler/walk_x86_64.h"
#elif defined(__aarch64__)
#include "src/pprof/handler/walk_aarch64.h"
#else
#error "otel-profiling-cpp: no stack walk for this architecture"
#endif
