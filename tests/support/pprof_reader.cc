#include "tests/support/pprof_reader.h"

#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <unordered_map>
#include <utility>

#include "tests/support/protobuf_fields.h"

namespace pprof_reader {
namespace {

constexpr std::size_t kMaxInflated = std::size_t{128} << 20;
constexpr std::size_t kMaxFrames = std::size_t{1} << 22;  // of all samples; of all locations

class Reader {
 public:
  std::optional<Profile> Run(std::string bytes, std::string* error) {
    profile_.bytes = std::make_shared<const std::string>(std::move(bytes));
    const bool good = Collect(*profile_.bytes) && CheckTypes() && ReadFunctions() &&
                      ReadMappings() && ReadLocations() && ReadSamples();
    if (good) return std::move(profile_);
    *error = why_;
    return std::nullopt;
  }

 private:
  struct FunctionNames {
    std::string_view name;
    std::string_view file;
  };

  bool Fail(const char* why) {
    why_ = why;
    return false;
  }

  std::string_view Text(std::uint64_t id) {
    if (id < strings_.size()) return strings_[id];
    bad_string_ = true;
    return {};
  }

  // Top level: keeps the messages until all strings are known.
  bool Collect(std::string_view bytes) {
    Fields field(bytes);
    std::vector<std::uint64_t> comments;
    while (field.Next()) {
      if (field.number >= 1 && field.number <= 5) messages_[field.number].push_back(field.bytes);
      if (field.number == 6) strings_.push_back(field.bytes);
      if (field.number == 9) profile_.time_ns = static_cast<std::int64_t>(field.value);
      if (field.number == 10) profile_.duration_ns = static_cast<std::int64_t>(field.value);
      if (field.number == 12) profile_.period_ns = static_cast<std::int64_t>(field.value);
      if (field.number == 13 && !AppendNumbers(field, &comments)) return Fail("broken comment");
    }
    if (field.broken()) return Fail("not a protobuf message");
    for (const std::uint64_t comment : comments) profile_.comments.push_back(Text(comment));
    return bad_string_ ? Fail("comment outside the string table") : true;
  }

  bool CheckTypes() {
    std::string types;
    for (const std::string_view message : messages_[1]) {
      if (!ReadNumbers(message, numbers_)) return Fail("broken sample type");
      types.append(Text(numbers_[1])).append("/").append(Text(numbers_[2])).append(" ");
    }
    if (types != "samples/count cpu/nanoseconds ") return Fail("not a CPU profile");
    return true;
  }

  bool ReadFunctions() {
    for (const std::string_view message : messages_[5]) {
      if (!ReadNumbers(message, numbers_)) return Fail("broken function");
      functions_[numbers_[1]] = {Text(numbers_[2]), Text(numbers_[4])};
    }
    return bad_string_ ? Fail("function name outside the string table") : true;
  }

  bool ReadMappings() {
    for (const std::string_view message : messages_[3]) {
      if (!ReadNumbers(message, numbers_)) return Fail("broken mapping");
      modules_[numbers_[1]] = Text(numbers_[5]);
      profile_.mappings.push_back({Text(numbers_[5]), numbers_[7] != 0, numbers_[8] != 0,
                                   numbers_[9] != 0, numbers_[10] != 0});
    }
    return bad_string_ ? Fail("file name outside the string table") : true;
  }

  bool ReadLocations() {
    for (const std::string_view message : messages_[4]) {
      if (!ReadNumbers(message, numbers_)) return Fail("broken location");
      Frame place;
      place.address = numbers_[3];
      if (numbers_[2] != 0) {
        const auto module = modules_.find(numbers_[2]);
        if (module == modules_.end()) return Fail("location without its mapping");
        place.module = module->second;
      }
      std::vector<Frame>& frames = locations_[numbers_[1]];
      frames.clear();
      if (!ReadLines(message, place, &frames)) return false;
      if (frames.empty()) frames.push_back(place);
    }
    return true;
  }

  bool ReadLines(std::string_view location, const Frame& place, std::vector<Frame>* frames) {
    Fields field(location);
    while (field.Next()) {
      if (field.number != 4) continue;
      if (!ReadNumbers(field.bytes, numbers_)) return Fail("broken line");
      const auto function = functions_.find(numbers_[1]);
      if (function == functions_.end()) return Fail("line without its function");
      if (++location_frames_ > kMaxFrames) return Fail("too many lines");
      if (!frames->empty()) frames->back().inlined = true;
      frames->push_back(place);
      frames->back().function = function->second.name;
      frames->back().file = function->second.file;
      frames->back().line = static_cast<std::int64_t>(numbers_[2]);
    }
    return true;  // the location's fields were walked before
  }

  bool ReadSamples() {
    for (const std::string_view message : messages_[2]) {
      profile_.samples.emplace_back();
      if (!ReadSample(message, &profile_.samples.back())) return false;
    }
    return bad_string_ ? Fail("label outside the string table") : true;
  }

  bool ReadSample(std::string_view message, Sample* sample) {
    std::vector<std::uint64_t> ids;
    std::vector<std::uint64_t> values;
    Fields field(message);
    while (field.Next()) {
      if (field.number == 1 && !AppendNumbers(field, &ids)) return Fail("broken stack");
      if (field.number == 2 && !AppendNumbers(field, &values)) return Fail("broken value");
      if (field.number != 3) continue;
      if (!ReadNumbers(field.bytes, numbers_)) return Fail("broken label");
      if (numbers_[2] == 0) continue;
      if (!sample->labels.emplace(Text(numbers_[1]), Text(numbers_[2])).second) {
        return Fail("two values for one label");
      }
    }
    if (field.broken()) return Fail("broken sample");
    if (values.size() != 2) return Fail("a sample without two values");
    sample->count = static_cast<std::int64_t>(values[0]);
    sample->cpu_ns = static_cast<std::int64_t>(values[1]);
    return AddFrames(ids, &sample->frames);
  }

  bool AddFrames(const std::vector<std::uint64_t>& ids, std::vector<Frame>* frames) {
    for (const std::uint64_t id : ids) {
      const auto location = locations_.find(id);
      if (location == locations_.end()) return Fail("a sample without its location");
      frames_ += location->second.size();
      if (frames_ > kMaxFrames) return Fail("too many frames");
      frames->insert(frames->end(), location->second.begin(), location->second.end());
    }
    return true;
  }

  Profile profile_;
  std::string why_;
  bool bad_string_ = false;
  std::vector<std::string_view> strings_;
  std::vector<std::string_view> messages_[6];  // by field number
  std::unordered_map<std::uint64_t, FunctionNames> functions_;
  std::unordered_map<std::uint64_t, std::string_view> modules_;
  std::unordered_map<std::uint64_t, std::vector<Frame>> locations_;
  std::uint64_t numbers_[kNumbers] = {};
  std::size_t location_frames_ = 0;
  std::size_t frames_ = 0;
};

}  // namespace

std::string_view Sample::Label(std::string_view key) const {
  const auto found = labels.find(key);
  return found == labels.end() ? std::string_view() : found->second;
}

bool Sample::HasFunction(std::string_view name_prefix) const {
  return std::any_of(frames.begin(), frames.end(), [name_prefix](const Frame& frame) {
    return frame.function.substr(0, name_prefix.size()) == name_prefix;
  });
}

std::optional<std::string> Inflate(std::string_view bytes, std::string* error) {
  if (bytes.substr(0, 2) != "\x1F\x8B") return std::string(bytes);
  z_stream stream{};
  if (bytes.size() > kMaxInflated || inflateInit2(&stream, 15 + 16) != Z_OK) {
    *error = "too large";
    return std::nullopt;
  }
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  int state = Z_OK;
  while (state == Z_OK && out.size() <= kMaxInflated) {
    char piece[32768];
    stream.next_out = reinterpret_cast<Bytef*>(piece);
    stream.avail_out = sizeof(piece);
    state = inflate(&stream, Z_NO_FLUSH);
    out.append(piece, sizeof(piece) - stream.avail_out);
    if (state == Z_STREAM_END && stream.avail_in > 0) state = inflateReset(&stream);
  }
  inflateEnd(&stream);
  if (state == Z_STREAM_END) return out;
  *error = state == Z_OK ? "too large" : "broken gzip data";
  return std::nullopt;
}

std::optional<Profile> Read(std::string_view bytes, std::string* error) {
  std::optional<std::string> message = Inflate(bytes, error);
  if (!message.has_value()) return std::nullopt;
  return Reader().Run(*std::move(message), error);
}

std::optional<Profile> ReadFile(const std::string& path, std::string* error) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    *error = "cannot open " + path;
    return std::nullopt;
  }
  const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return Read(bytes, error);
}

}  // namespace pprof_reader
