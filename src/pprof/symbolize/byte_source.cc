#include "src/pprof/symbolize/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace pprof::symbolize {
namespace {

// Four seconds of work: more is a sparse file of terabytes rather than debug information.
constexpr std::uint64_t kMaxChecked = std::uint64_t{4} << 30;

}  // namespace

std::unique_ptr<ByteSource> ByteSource::OpenFile(const std::string& path) {
  std::unique_ptr<ByteSource> source(new ByteSource);
  // O_NONBLOCK: a path that turned into a FIFO must not stop the caller for ever.
  source->fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat status = {};
  if (source->fd_ < 0 || fstat(source->fd_, &status) != 0 || !S_ISREG(status.st_mode)) {
    return nullptr;
  }
  source->size_ = static_cast<std::uint64_t>(status.st_size);
  source->device_ = status.st_dev;
  source->inode_ = status.st_ino;
  return source;
}

std::unique_ptr<ByteSource> ByteSource::OpenOwnMemory(std::uint64_t start, std::uint64_t limit) {
  if (limit <= start) return nullptr;
  std::unique_ptr<ByteSource> source(new ByteSource);
  source->fd_ = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  if (source->fd_ < 0) return nullptr;
  source->base_ = start;
  source->size_ = limit - start;
  return source;
}

std::unique_ptr<ByteSource> ByteSource::FromBuffer(base::LargeVector<std::uint8_t> bytes) {
  std::unique_ptr<ByteSource> source(new ByteSource);
  source->buffer_ = std::move(bytes);
  source->size_ = source->buffer_.size();
  return source;
}

ByteSource::~ByteSource() {
  if (fd_ >= 0) close(fd_);
}

bool ByteSource::Read(std::uint64_t offset, void* to, std::size_t size) const {
  if (offset > size_ || size > size_ - offset) return false;
  if (size == 0) return true;
  if (fd_ < 0) {
    std::memcpy(to, buffer_.data() + offset, size);
    return true;
  }
  auto* out = static_cast<char*>(to);
  for (std::size_t done = 0; done < size;) {
    const auto at = static_cast<off_t>(base_ + offset + done);
    const ssize_t count = pread(fd_, out + done, size - done, at);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    done += static_cast<std::size_t>(count);
  }
  return true;
}

bool ByteSource::Crc32(std::uint32_t* crc) const {
  if (size_ > kMaxChecked) return false;
  base::LargeVector<std::uint8_t> block(256 << 10);
  uLong value = crc32(0, nullptr, 0);
  for (std::uint64_t offset = 0; offset < size_;) {
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), size_ - offset));
    if (!Read(offset, block.data(), count)) return false;
    value = crc32(value, block.data(), static_cast<uInt>(count));
    offset += count;
  }
  *crc = static_cast<std::uint32_t>(value);
  return true;
}

}  // namespace pprof::symbolize
