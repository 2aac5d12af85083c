// Reads fixed-width and LEB128 numbers from bytes that nobody vouches for. Running out of bytes is
// not an error at each call: it sets a flag, gives zeros, and is asked about once at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace pprof::elf {

// Little-endian, as all supported machines. Any thread. Not async-signal-safe by promise.
class ByteReader {
 public:
  ByteReader(const std::uint8_t* begin, const std::uint8_t* end) : at_(begin), end_(end) {}

  bool ok() const { return ok_; }
  bool empty() const { return at_ >= end_; }
  const std::uint8_t* position() const { return at_; }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

  template <class T>
  T Fixed() {
    T value{};
    if (left() < sizeof(T)) {
      Fail();
    } else {
      std::memcpy(&value, at_, sizeof(T));
      at_ += sizeof(T);
    }
    return value;
  }
  std::uint8_t U8() { return Fixed<std::uint8_t>(); }
  std::uint16_t U16() { return Fixed<std::uint16_t>(); }
  std::uint32_t U32() { return Fixed<std::uint32_t>(); }
  std::uint64_t U64() { return Fixed<std::uint64_t>(); }

  // DWARF 5, 7.6. Bits beyond the 64th are dropped.
  std::uint64_t Uleb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const std::uint8_t byte = U8();
      if (shift < 64) value |= std::uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0 || !ok_) return value;
    }
  }
  std::int64_t Sleb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0;;) {
      const std::uint8_t byte = U8();
      if (shift < 64) value |= std::uint64_t{byte & 0x7fu} << shift;
      shift += 7;
      if ((byte & 0x80) != 0 && ok_) continue;
      if (shift < 64 && (byte & 0x40) != 0) value |= ~std::uint64_t{0} << shift;
      return static_cast<std::int64_t>(value);
    }
  }

  void Skip(std::uint64_t bytes) {
    if (bytes > left()) {
      Fail();
    } else {
      at_ += bytes;
    }
  }
  // The next `bytes` as a reader of their own.
  ByteReader Take(std::uint64_t bytes) {
    if (bytes > left()) {
      Fail();
      return {end_, end_};
    }
    at_ += bytes;
    return {at_ - bytes, at_};
  }
  // A zero-terminated string.
  std::string_view CString() {
    const void* zero = left() == 0 ? nullptr : std::memchr(at_, 0, left());
    if (zero == nullptr) {
      Fail();
      return {};
    }
    const auto* stop = static_cast<const std::uint8_t*>(zero);
    const std::string_view text(reinterpret_cast<const char*>(at_),
                                static_cast<std::size_t>(stop - at_));
    at_ = stop + 1;
    return text;
  }

 private:
  void Fail() {
    ok_ = false;
    at_ = end_;
  }
  const std::uint8_t* at_;
  const std::uint8_t* end_;
  bool ok_ = true;
};

}  // namespace pprof::elf
