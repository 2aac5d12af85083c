// The names that all headers of the bridge share. Included by each of them; not for users.
//
// A process may hold several copies of this code, one a shared object. They become one exactly
// where the copies of the OpenTelemetry API's singletons become one, because they have the same
// visibility; the inline namespace changes whenever a layout changes, so that no copies of
// different layout ever meet.
#pragma once

#include <opentelemetry/version.h>

#define OTELPYROSCOPE_SHARED __attribute__((visibility("default")))

// So that each header of ours may come first.
OPENTELEMETRY_BEGIN_NAMESPACE
namespace nostd {}
namespace trace {}
namespace context {}
namespace common {}
OPENTELEMETRY_END_NAMESPACE

namespace otelpyroscope {
inline namespace v1 {

namespace nostd = opentelemetry::nostd;
namespace trace = opentelemetry::trace;
namespace context = opentelemetry::context;
namespace common = opentelemetry::common;

}  // namespace v1
}  // namespace otelpyroscope
