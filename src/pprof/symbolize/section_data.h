// The bytes of one section, read piece by piece where they lie in the file in the clear, whole in
// memory where they are compressed (SHF_COMPRESSED or .zdebug with zlib). Strings are read through
// a small cache of blocks, so that a string table of gigabytes costs no more than the strings asked
// for. Used for every section that this folder reads. Also decompresses .gnu_debugdata (xz).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/pprof/base/large_vector.h"
#include "src/pprof/symbolize/byte_reader.h"
#include "src/pprof/symbolize/elf_file.h"

namespace pprof::symbolize {

// What may still be allocated for one module. Taking more than is left fails and is remembered.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t bytes) : left_(bytes) {}
  bool Take(std::uint64_t bytes) {
    if (bytes > left_) exceeded_ = true;
    if (bytes > left_) return false;
    left_ -= static_cast<std::size_t>(bytes);
    return true;
  }
  bool exceeded() const { return exceeded_; }
  std::size_t left() const { return left_; }

 private:
  std::size_t left_;
  bool exceeded_ = false;
};

// Not async-signal-safe. One thread at a time. The file must outlive it.
class SectionData {
 public:
  SectionData() = default;  // empty

  // False if the section is damaged, compressed in a way we do not know, or over the budget. A null
  // section is empty and fine.
  bool Open(const ElfFile& file, const ElfSection* section, MemoryBudget* budget);

  std::uint64_t size() const { return size_; }
  bool Read(std::uint64_t offset, void* to, std::size_t size) const;
  // The bytes from there on, at least kMinView of them unless the section ends before. Valid until
  // the next call.
  ByteReader At(std::uint64_t offset) {
    if (offset < view_begin_ || offset - view_begin_ > view_.size() ||
        (view_.size() - (offset - view_begin_) < kMinView && view_begin_ + view_.size() != size_))
      return Look(offset);
    const auto skip = static_cast<std::size_t>(offset - view_begin_);
    return ByteReader(view_.data() + skip, view_.size() - skip);
  }
  // The zero-terminated string there, at most `max` bytes of it; empty if the offset is wrong.
  std::string String(std::uint64_t offset, std::size_t max = kMaxString);
  // Blocks that strings were read from so far, those that were read again included.
  std::uint64_t block_reads() const { return block_reads_; }

  static constexpr std::size_t kMaxString = 8u << 10;
  static constexpr std::size_t kMinView = 64;

 private:
  ByteReader Look(std::uint64_t offset);
  bool Inflate(const ByteSource& source, std::uint64_t offset, std::uint64_t packed,
               std::uint64_t size);
  const std::vector<std::uint8_t>* Block(std::uint64_t number);

  const ByteSource* source_ = nullptr;
  std::uint64_t offset_ = 0;
  std::uint64_t size_ = 0;
  base::LargeVector<std::uint8_t> inflated_;
  bool in_memory_ = false;
  base::LargeVector<std::uint8_t> view_;  // a piece of the section that is read in the clear
  std::uint64_t view_begin_ = 0;
  std::unordered_map<std::uint64_t, std::vector<std::uint8_t>> blocks_;
  std::uint64_t block_reads_ = 0;
};

// Unpacks the .xz stream in `packed` bytes from `offset` on; empty if it is damaged or what it
// holds is larger than `max_size`, which bounds the decoder's own memory as well. Not
// async-signal-safe.
base::LargeVector<std::uint8_t> UnpackXz(const ByteSource& source, std::uint64_t offset,
                                         std::uint64_t packed, std::size_t max_size);

}  // namespace pprof::symbolize
