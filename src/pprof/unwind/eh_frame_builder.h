// Writes .eh_frame sections for tests: records with any instructions, right or wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "src/pprof/unwind/cfi_table.h"

namespace pprof::unwind {

// Not thread-safe. Not async-signal-safe.
class EhFrameBuilder {
 public:
  using Bytes = std::vector<std::uint8_t>;

  // Run-time address that the section pretends to have.
  static constexpr std::uint64_t kAddress = 0x7000;

  // Of x86-64 unless told: CFA = rsp + 8, return address at CFA - 8; pcrel sdata4 pointers. The
  // position, for Fde().
  std::size_t Cie(const std::string& augmentation = "zR", const Bytes& augmentation_data = {0x1b},
                  const Bytes& program = {0x0c, 7, 8, 0x90, 1}, std::uint8_t code_alignment = 1,
                  std::uint8_t return_register = 16) {
    Bytes body = {1};
    body.insert(body.end(), augmentation.begin(), augmentation.end());
    body.insert(body.end(), {0, code_alignment, 0x78, return_register});  // data alignment -8
    if (augmentation[0] == 'z') {
      body.push_back(static_cast<std::uint8_t>(augmentation_data.size()));
      body.insert(body.end(), augmentation_data.begin(), augmentation_data.end());
    }
    body.insert(body.end(), program.begin(), program.end());
    while (body.size() % 4 != 0) body.push_back(0);
    const std::size_t position = bytes_.size();
    Record(0, body);
    return position;
  }

  // For the code at [pc, pc + size). `data`: the augmentation data.
  void Fde(std::size_t cie, std::uint64_t pc, std::uint32_t size, const Bytes& program,
           const Bytes& data = {}) {
    Bytes body;
    const std::uint64_t field = kAddress + bytes_.size() + HeaderBytes() + 4;
    Append32(&body, static_cast<std::uint32_t>(pc - field));
    Append32(&body, size);
    body.push_back(static_cast<std::uint8_t>(data.size()));
    body.insert(body.end(), data.begin(), data.end());
    body.insert(body.end(), program.begin(), program.end());
    while (body.size() % 4 != 0) body.push_back(0);
    Record(static_cast<std::uint32_t>(bytes_.size() + HeaderBytes() - cie), body);
  }

  void Terminator() { Append32(&bytes_, 0); }
  void Raw(const Bytes& bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  void UseLongRecords(bool on) { long_records_ = on; }  // the 64-bit length

  const Bytes& bytes() const { return bytes_; }
  EhFrame section(std::uint64_t expected_fdes = 0) const {
    return {bytes_.data(), bytes_.size(), kAddress, expected_fdes};
  }

 private:
  std::size_t HeaderBytes() const { return long_records_ ? 12 : 4; }

  static void Append32(Bytes* bytes, std::uint32_t value) {
    for (int i = 0; i < 4; ++i) bytes->push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }

  void Record(std::uint32_t id, const Bytes& body) {
    const auto length = static_cast<std::uint32_t>(body.size() + 4);
    if (long_records_) {
      Append32(&bytes_, 0xffffffff);
      Append32(&bytes_, length);
      Append32(&bytes_, 0);
    } else {
      Append32(&bytes_, length);
    }
    Append32(&bytes_, id);
    bytes_.insert(bytes_.end(), body.begin(), body.end());
  }

  Bytes bytes_;
  bool long_records_ = false;
};

}  // namespace pprof::unwind
