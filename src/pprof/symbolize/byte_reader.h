// A cursor over bytes that nobody vouches for: DWARF sections, ELF notes. Reading past the end
// gives zeros and makes ok() false for good, so a parser checks once a step and can never leave its
// buffer. Used by the readers of this folder. Little-endian files on little-endian hosts only.
// LEB128: DWARF 5, section 7.6.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace pprof::symbolize {

// Not async-signal-safe (nothing here allocates, but nobody has promised more). Owns nothing: the
// bytes must outlive the reader.
class ByteReader {
 public:
  ByteReader(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}

  bool ok() const { return ok_; }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  bool done() const { return at_ == end_; }
  const std::uint8_t* position() const { return at_; }

  // An unsigned number of `width` (0 to 8) bytes.
  std::uint64_t Fixed(std::size_t width) {
    if (width > sizeof(std::uint64_t) || left() < width) return Fail();
    std::uint64_t value = 0;
    if (left() < sizeof value || width == 0) {
      std::memcpy(&value, at_, width);
    } else {  // a load and a shift, where the size is not known to the compiler
      std::memcpy(&value, at_, sizeof value);
      value = value << (64 - 8 * width) >> (64 - 8 * width);
    }
    at_ += width;
    return value;
  }
  std::uint8_t U8() { return static_cast<std::uint8_t>(Fixed(1)); }
  std::uint16_t U16() { return static_cast<std::uint16_t>(Fixed(2)); }
  std::uint32_t U32() { return static_cast<std::uint32_t>(Fixed(4)); }

  std::uint64_t Uleb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; at_ != end_; shift += 7) {
      const std::uint8_t byte = *at_++;
      if (shift < 64) value |= std::uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return Fail();
  }

  std::int64_t Sleb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; at_ != end_;) {
      const std::uint8_t byte = *at_++;
      if (shift < 64) value |= std::uint64_t{byte & 0x7fu} << shift;
      shift += 7;
      if ((byte & 0x80) != 0) continue;
      if (shift < 64 && (byte & 0x40) != 0) value |= ~std::uint64_t{0} << shift;
      return static_cast<std::int64_t>(value);
    }
    return static_cast<std::int64_t>(Fail());
  }

  // A zero-terminated string; without a terminator it is empty and ok() is false.
  std::string_view String() {
    const void* zero = left() > 0 ? std::memchr(at_, 0, left()) : nullptr;
    if (zero == nullptr) {
      Fail();
      return {};
    }
    const auto* text = reinterpret_cast<const char*>(at_);
    const std::string_view result(text,
                                  static_cast<std::size_t>(static_cast<const char*>(zero) - text));
    at_ += result.size() + 1;
    return result;
  }

  void Skip(std::uint64_t count) {
    if (count > left()) {
      Fail();
      return;
    }
    at_ += count;
  }

  // The next `size` bytes as a reader of their own; this one moves past them.
  ByteReader Sub(std::uint64_t size) {
    if (size > left()) {
      Fail();
      size = 0;
    }
    ByteReader sub(at_, static_cast<std::size_t>(size));
    at_ += size;
    return sub;
  }

 private:
  std::uint64_t Fail() {
    ok_ = false;
    at_ = end_;
    return 0;
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  bool ok_ = true;
};

}  // namespace pprof::symbolize
