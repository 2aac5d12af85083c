// Field numbers of the pprof messages, as in github.com/google/pprof, proto/profile.proto (package
// perftools.profiles). One enumeration a message; only what this project writes. Used by
// pprof_encoder.cc.
#pragma once

#include <protozero/types.hpp>

namespace pprof::encode {

enum class ProfileField : protozero::pbf_tag_type {
  kSampleType = 1,   // repeated ValueType
  kSample = 2,       // repeated Sample
  kMapping = 3,      // repeated Mapping
  kLocation = 4,     // repeated Location
  kFunction = 5,     // repeated Function
  kStringTable = 6,  // repeated string; [0] is ""
  kTimeNanos = 9,
  kDurationNanos = 10,
  kPeriodType = 11,  // ValueType
  kPeriod = 12,
  kComment = 13,            // repeated int64: strings
  kDefaultSampleType = 14,  // string
};

enum class ValueTypeField : protozero::pbf_tag_type { kType = 1, kUnit = 2 };

enum class SampleField : protozero::pbf_tag_type {
  kLocationId = 1,  // repeated uint64, packed, leaf first
  kValue = 2,       // repeated int64, packed
  kLabel = 3,       // repeated Label
};

enum class LabelField : protozero::pbf_tag_type { kKey = 1, kStr = 2 };

enum class MappingField : protozero::pbf_tag_type {
  kId = 1,  // ids are never 0
  kMemoryStart = 2,
  kMemoryLimit = 3,
  kFileOffset = 4,
  kFilename = 5,  // string
  kBuildId = 6,   // string
  kHasFunctions = 7,
  kHasFilenames = 8,
  kHasLineNumbers = 9,
  kHasInlineFrames = 10,
};

enum class LocationField : protozero::pbf_tag_type {
  kId = 1,
  kMappingId = 2,
  kAddress = 3,
  kLine = 4,  // repeated Line, innermost inlined function first
};

enum class LineField : protozero::pbf_tag_type { kFunctionId = 1, kLine = 2 };

enum class FunctionField : protozero::pbf_tag_type {
  kId = 1,
  kName = 2,        // string
  kSystemName = 3,  // string
  kFilename = 4,    // string
  kStartLine = 5,
};

}  // namespace pprof::encode
