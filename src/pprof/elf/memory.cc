#include "src/pprof/elf/memory.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

namespace pprof::elf {
namespace {

constexpr ssize_t kNoProc = -2;

ssize_t CopyThroughProc(std::uint64_t address, void* to, std::size_t size) noexcept {
  const int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return kNoProc;
  const ssize_t copied = pread(fd, to, size, static_cast<off_t>(address));
  close(fd);
  return copied;
}

// Through /proc first: some seccomp filters end the process at process_vm_readv.
ssize_t CopySome(std::uint64_t address, void* to, std::size_t size) noexcept {
  const ssize_t through_proc = CopyThroughProc(address, to, size);
  if (through_proc != kNoProc) return through_proc;
  const iovec local = {to, size};
  const iovec remote = {reinterpret_cast<void*>(address), size};
  return process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
}

}  // namespace

bool CopyMemory(std::uint64_t address, void* to, std::size_t size) noexcept {
  auto* at = static_cast<char*>(to);
  while (size > 0) {
    const ssize_t copied = CopySome(address, at, size);
    if (copied <= 0) return false;
    at += copied;
    address += static_cast<std::uint64_t>(copied);
    size -= static_cast<std::size_t>(copied);
  }
  return true;
}

base::LargeVector<std::uint8_t> CopyMemoryUpTo(std::uint64_t address, std::size_t size) {
  base::LargeVector<std::uint8_t> bytes(size);
  std::size_t have = 0;
  while (have < size) {
    const ssize_t copied = CopySome(address + have, bytes.data() + have, size - have);
    if (copied <= 0) break;
    have += static_cast<std::size_t>(copied);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace pprof::elf
