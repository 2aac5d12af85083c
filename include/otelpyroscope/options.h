// What NewTracerProvider can be told. The defaults are those of the Go package otel-profiling-go.
#pragma once

#include <otelpyroscope/namespace.h>

namespace otelpyroscope {
inline namespace v1 {

// Whose id or name the samples under a span carry. A local root is a span without a parent in this
// process.
enum class Scope {
  kNone,      // no such label
  kRootSpan,  // the local root's, so that its profile includes all that ran under it
  kAllSpans,  // each span's own
};

// When a span gets the attribute pyroscope.profile.id, by which a trace viewer finds its profile.
enum class ProfileIdAttribute {
  kAlways,      // at its start, on every span whose id is used as a label
  kIfProfiled,  // at its end, and only if a sample carried its id: no link to an empty profile
};

struct Options {
  Scope span_id_label_scope = Scope::kRootSpan;
  Scope span_name_label_scope = Scope::kRootSpan;
  bool trace_id_label = true;  // false for Pyroscope servers before 2.1
  ProfileIdAttribute profile_id_attribute = ProfileIdAttribute::kAlways;
};

}  // namespace v1
}  // namespace otelpyroscope
