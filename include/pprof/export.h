// Marks what a shared build of the library exports. Everything else is compiled with hidden
// visibility.
#pragma once

#define PPROF_EXPORT __attribute__((visibility("default")))
