// The Grafana that the page of spans links to.
#pragma once

#include <pprof/span_watch.h>

#include <string>

namespace pprof::profiler {

struct Grafana {
  std::string address;  // empty: none
  std::string datasource;
};

// From the options, else the environment. Both end up in a page that people pass on and in links:
// an address with a password, a query or anything that is not an address is refused with a warning.
// May throw std::bad_alloc. Not async-signal-safe.
Grafana FindGrafana(const SpanWatchOptions& options);

}  // namespace pprof::profiler
