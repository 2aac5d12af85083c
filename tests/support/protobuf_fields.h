// Walks the fields of one protobuf message whose bytes may be anything: the lower half of
// pprof_reader. No function here throws but for std::bad_alloc; any thread. Not async-signal-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <vector>

namespace pprof_reader {

// One message: hands out its fields. Wire format: protobuf.dev/programming-guides/encoding.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  std::uint64_t number = 0;  // of the present field
  std::uint64_t value = 0;   // wire type 0
  std::string_view bytes;    // wire type 2
  bool is_bytes = false;

  bool broken() const { return broken_; }

  // False at the end and at the first broken field.
  bool Next() {
    if (rest_.empty() || broken_) return false;
    const std::uint64_t tag = Varint();
    number = tag >> 3;
    is_bytes = (tag & 7) == 2;
    value = 0;
    bytes = {};
    switch (tag & 7) {
      case 0:
        value = Varint();
        break;
      case 1:
        Take(8);
        break;
      case 2:
        bytes = Take(Varint());
        break;
      case 5:
        Take(4);
        break;
      default:
        broken_ = true;
    }
    return !broken_;
  }

  std::uint64_t Varint() {
    std::uint64_t result = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      result |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return result;
    }
    broken_ = true;
    return 0;
  }

  bool at_end() const { return rest_.empty() || broken_; }

 private:
  std::string_view Take(std::uint64_t size) {
    if (size > rest_.size()) broken_ = true;
    if (broken_) return {};
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
  bool broken_ = false;
};

// A repeated number, packed or not.
inline bool AppendNumbers(const Fields& field, std::vector<std::uint64_t>* out) {
  if (!field.is_bytes) {
    out->push_back(field.value);
    return true;
  }
  Fields packed(field.bytes);
  while (!packed.at_end()) out->push_back(packed.Varint());
  return !packed.broken();
}

// The numbers of a message of numbers (ValueType, Label, Mapping, Line, Function): [n] is field n.
inline constexpr std::size_t kNumbers = 16;
inline bool ReadNumbers(std::string_view bytes, std::uint64_t (&numbers)[kNumbers]) {
  std::fill(std::begin(numbers), std::end(numbers), 0);
  Fields field(bytes);
  while (field.Next()) {
    if (field.number < kNumbers) numbers[field.number] = field.value;
  }
  return !field.broken();
}

}  // namespace pprof_reader
