// Where the bytes of an ELF file come from: a file that is read with pread (never mapped: a file
// that is truncated while mapped kills the process with SIGBUS), a piece of our own memory read
// through /proc/self/mem (vDSO), or a buffer (mini-debuginfo after decompression). Used by ElfFile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "src/pprof/base/large_vector.h"

namespace pprof::symbolize {

// Not async-signal-safe. One thread at a time. Owns its file descriptor.
class ByteSource {
 public:
  // nullptr if the file cannot be opened or is no regular file.
  static std::unique_ptr<ByteSource> OpenFile(const std::string& path);
  // The mapped bytes [start, limit) of this process; reads of unmapped pages fail, they do not
  // fault.
  static std::unique_ptr<ByteSource> OpenOwnMemory(std::uint64_t start, std::uint64_t limit);
  static std::unique_ptr<ByteSource> FromBuffer(base::LargeVector<std::uint8_t> bytes);

  ~ByteSource();
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  std::uint64_t size() const { return size_; }
  std::uint64_t device() const { return device_; }
  std::uint64_t inode() const { return inode_; }

  // All of [offset, offset + size) or false; a file may shrink at any time.
  bool Read(std::uint64_t offset, void* to, std::size_t size) const;
  // CRC-32 of the whole as .gnu_debuglink has it; false if it cannot be read
  // or has more than 4 GiB.
  bool Crc32(std::uint32_t* crc) const;

 private:
  ByteSource() = default;

  int fd_ = -1;
  std::uint64_t base_ = 0;  // of offset 0 in the file
  std::uint64_t size_ = 0;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
  base::LargeVector<std::uint8_t> buffer_;
};

}  // namespace pprof::symbolize
