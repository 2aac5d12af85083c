#include "src/pprof/sampler/task_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pprof::sampler {

bool TaskDirectory::Open() noexcept {
  fd_ = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat info = {};
  if (fd_ < 0 || fstat(fd_, &info) != 0) return false;
  device_ = info.st_dev;
  inode_ = info.st_ino;
  return true;
}

// A host that closes all descriptors (daemons do) may have opened another file under our number:
// that one is neither read nor closed.
bool TaskDirectory::StillOurs(std::uint64_t* links) const noexcept {
  struct stat info = {};
  if (fd_ < 0 || fstat(fd_, &info) != 0) return false;
  *links = info.st_nlink;
  return info.st_dev == device_ && info.st_ino == inode_;
}

std::uint64_t TaskDirectory::Links() noexcept {
  std::uint64_t links = 0;
  if (StillOurs(&links)) return links;
  fd_ = -1;
  return Open() && StillOurs(&links) ? links : 0;
}

void TaskDirectory::Close() noexcept {
  std::uint64_t links = 0;
  if (StillOurs(&links)) close(fd_);
  fd_ = -1;
}

}  // namespace pprof::sampler
