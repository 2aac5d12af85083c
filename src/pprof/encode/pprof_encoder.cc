#include "src/pprof/encode/pprof_encoder.h"

#include <cstdint>
#include <limits>
#include <protozero/basic_pbf_builder.hpp>

#include "src/pprof/encode/pprof_fields.h"

namespace protozero {

// How protozero writes to our buffer: as buffer_string.hpp says for std::string.
template <>
struct buffer_customization<pprof::base::LargeString> {
  using Buffer = pprof::base::LargeString;

  static std::size_t size(const Buffer* buffer) { return buffer->size(); }
  static void append(Buffer* buffer, const char* data, std::size_t count) {
    buffer->append(data, count);
  }
  static void append_zeros(Buffer* buffer, std::size_t count) { buffer->append(count, '\0'); }
  static void resize(Buffer* buffer, std::size_t size) { buffer->resize(size); }
  static void reserve_additional(Buffer* buffer, std::size_t size) {
    buffer->reserve(buffer->size() + size);
  }
  static void erase_range(Buffer* buffer, std::size_t from, std::size_t to) {
    buffer->erase(from, to - from);
  }
  static char* at_pos(Buffer* buffer, std::size_t pos) { return buffer->data() + pos; }
  static void push_back(Buffer* buffer, char ch) { buffer->push_back(ch); }
};

}  // namespace protozero

namespace pprof::encode {
namespace {

template <class Field>
using Builder = protozero::basic_pbf_builder<base::LargeString, Field>;

using profile::Profile;
using ProfileWriter = Builder<ProfileField>;

std::uint64_t IdOf(std::size_t index) { return std::uint64_t{index} + 1; }

// proto3: a field with its default value is not written.
template <class Writer, class Field>
void AddUint(Writer* writer, Field field, std::uint64_t value) {
  if (value != 0) writer->add_uint64(field, value);
}

template <class Writer, class Field>
void AddInt(Writer* writer, Field field, std::int64_t value) {
  if (value != 0) writer->add_int64(field, value);
}

template <class Writer, class Field>
void AddFlag(Writer* writer, Field field, bool value) {
  if (value) writer->add_bool(field, true);
}

void WriteValueType(ProfileWriter* out, ProfileField field, profile::ValueType value) {
  Builder<ValueTypeField> message(*out, field);
  AddUint(&message, ValueTypeField::kType, value.type);
  AddUint(&message, ValueTypeField::kUnit, value.unit);
}

std::int64_t CpuNs(std::int64_t count, std::int64_t period_ns) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(count, period_ns, &product)) {
    return std::numeric_limits<std::int64_t>::max();
  }
  return product;
}

void WriteSamples(const Profile& profile, ProfileWriter* out) {
  std::vector<std::uint64_t> ids;  // kept over the samples for its memory
  for (const profile::Sample& sample : profile.samples) {
    Builder<SampleField> message(*out, ProfileField::kSample);
    ids.clear();
    for (const std::uint32_t location : sample.locations) ids.push_back(IdOf(location));
    message.add_packed_uint64(SampleField::kLocationId, ids.begin(), ids.end());
    const std::int64_t values[] = {sample.count, CpuNs(sample.count, profile.period_ns)};
    message.add_packed_int64(SampleField::kValue, std::begin(values), std::end(values));
    for (const profile::Label& label : sample.labels) {
      if (label.key == 0 || label.value == 0) continue;
      Builder<LabelField> entry(message, SampleField::kLabel);
      entry.add_uint64(LabelField::kKey, label.key);
      entry.add_uint64(LabelField::kStr, label.value);
    }
  }
}

void WriteMappings(const Profile& profile, ProfileWriter* out) {
  for (std::size_t i = 0; i < profile.mappings.size(); ++i) {
    const profile::Mapping& mapping = profile.mappings[i];
    Builder<MappingField> message(*out, ProfileField::kMapping);
    message.add_uint64(MappingField::kId, IdOf(i));
    AddUint(&message, MappingField::kMemoryStart, mapping.memory_start);
    AddUint(&message, MappingField::kMemoryLimit, mapping.memory_limit);
    AddUint(&message, MappingField::kFileOffset, mapping.file_offset);
    AddUint(&message, MappingField::kFilename, mapping.filename);
    AddUint(&message, MappingField::kBuildId, mapping.build_id);
    AddFlag(&message, MappingField::kHasFunctions, mapping.has_functions);
    AddFlag(&message, MappingField::kHasFilenames, mapping.has_filenames);
    AddFlag(&message, MappingField::kHasLineNumbers, mapping.has_line_numbers);
    AddFlag(&message, MappingField::kHasInlineFrames, mapping.has_inline_frames);
  }
}

void WriteLocations(const Profile& profile, ProfileWriter* out) {
  for (std::size_t i = 0; i < profile.locations.size(); ++i) {
    const profile::Location& location = profile.locations[i];
    Builder<LocationField> message(*out, ProfileField::kLocation);
    message.add_uint64(LocationField::kId, IdOf(i));
    if (location.mapping >= 0) {
      message.add_uint64(LocationField::kMappingId,
                         IdOf(static_cast<std::size_t>(location.mapping)));
    }
    AddUint(&message, LocationField::kAddress, location.address);
    for (const profile::Line& line : location.lines) {
      Builder<LineField> entry(message, LocationField::kLine);
      entry.add_uint64(LineField::kFunctionId, IdOf(line.function));
      AddInt(&entry, LineField::kLine, line.line);
    }
  }
}

void WriteFunctions(const Profile& profile, ProfileWriter* out) {
  for (std::size_t i = 0; i < profile.functions.size(); ++i) {
    const profile::Function& function = profile.functions[i];
    Builder<FunctionField> message(*out, ProfileField::kFunction);
    message.add_uint64(FunctionField::kId, IdOf(i));
    AddUint(&message, FunctionField::kName, function.name);
    AddUint(&message, FunctionField::kSystemName, function.system_name);
    AddUint(&message, FunctionField::kFilename, function.filename);
    AddInt(&message, FunctionField::kStartLine, function.start_line);
  }
}

// About what the message takes, so that the buffer is not copied while it grows: two to three bytes
// an id, a dozen a label.
std::size_t EstimateSize(const Profile& profile) {
  std::size_t size = 1024;
  for (const std::string_view text : profile.strings()) size += text.size() + 3;
  for (const profile::Sample& sample : profile.samples) {
    size += 16 + 3 * sample.locations.size() + 12 * sample.labels.size();
  }
  return size + 48 * (profile.mappings.size() + profile.locations.size()) +
         24 * profile.functions.size();
}

}  // namespace

base::LargeString EncodePprof(const Profile& profile) {
  constexpr profile::ValueType kSamples{Profile::kSamples, Profile::kCount};
  constexpr profile::ValueType kCpu{Profile::kCpu, Profile::kNanoseconds};
  base::LargeString bytes;
  bytes.reserve(EstimateSize(profile));
  ProfileWriter out(bytes);
  WriteValueType(&out, ProfileField::kSampleType, kSamples);
  WriteValueType(&out, ProfileField::kSampleType, kCpu);
  WriteSamples(profile, &out);
  WriteMappings(profile, &out);
  WriteLocations(profile, &out);
  WriteFunctions(profile, &out);
  for (const std::string_view text : profile.strings()) {
    out.add_string(ProfileField::kStringTable, text.data(), text.size());
  }
  AddInt(&out, ProfileField::kTimeNanos, profile.time_ns);
  AddInt(&out, ProfileField::kDurationNanos, profile.duration_ns);
  WriteValueType(&out, ProfileField::kPeriodType, kCpu);
  AddInt(&out, ProfileField::kPeriod, profile.period_ns);
  for (const profile::StringId comment : profile.comments) {
    out.add_uint64(ProfileField::kComment, comment);
  }
  out.add_uint64(ProfileField::kDefaultSampleType, Profile::kCpu);
  return bytes;
}

}  // namespace pprof::encode
