// The routes behind Handle(), over any source of profiles.
#pragma once

#include <pprof/profile_source.h>
#include <pprof/stats.h>
#include <pprof_http/pprof_http.h>

#include <string>

namespace pprof_http {

// As Handle(). May throw std::bad_alloc.
Response Route(const Request& request, pprof::ProfileSource& source);

// Every counter of pprof::Stats under its name.
std::string StatsJson(const pprof::Stats& stats);

}  // namespace pprof_http
