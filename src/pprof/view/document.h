// The spans document (docs/spans-document.md): spans, samples and counters of a process as JSON,
// what the page /debug/spans shows.
#pragma once

#include <pprof/stats.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/pprof/profile/profile.h"
#include "src/pprof/spans/span_store.h"

namespace pprof::view {

using Windows = std::vector<std::shared_ptr<const profile::Profile>>;

struct DocumentParts {
  std::string service;
  std::string command;
  std::int64_t pid = 0;
  std::int64_t now_ns = 0;  // system clock
  bool live = true;
  Windows windows;  // oldest first
  const spans::SpanStore* spans = nullptr;
  Stats stats;
  std::vector<std::string> notes;
  std::string grafana;  // address; empty: none
  std::string grafana_datasource;
};

// Throws std::bad_alloc only. REQUIRES: nobody changes `*spans` meanwhile.
std::string WriteDocument(const DocumentParts& parts);

}  // namespace pprof::view
