#include "src/pprof/sampler/task_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace pprof::sampler {

bool TaskDirectory::Open() noexcept {
  directory_ = opendir("/proc/self/task");
  if (directory_ == nullptr) return false;
  struct stat info = {};
  if (fstat(dirfd(directory_), &info) != 0) return false;
  device_ = info.st_dev;
  inode_ = info.st_ino;
  return true;
}

// A host that closes all descriptors (daemons do) may have opened another file under our number:
// that one is neither read nor closed.
bool TaskDirectory::StillOurs(std::uint64_t* links) const noexcept {
  struct stat info = {};
  if (directory_ == nullptr || fstat(dirfd(directory_), &info) != 0) return false;
  *links = info.st_nlink;
  return info.st_dev == device_ && info.st_ino == inode_;
}

std::uint64_t TaskDirectory::Links() noexcept {
  std::uint64_t links = 0;
  if (StillOurs(&links)) return links;
  // closedir would close the host's file. What is lost stays reachable for leak checkers, as far as
  // one pointer goes.
  if (directory_ != nullptr) lost_ = std::exchange(directory_, nullptr);
  return Open() && StillOurs(&links) ? links : 0;
}

// Linux keeps a thread's position as that of its directory entry, behind "." and "..".
void TaskDirectory::Seek(std::uint64_t skip) noexcept {
  if (skip == 0) return rewinddir(directory_);
  seekdir(directory_, static_cast<long>(2 + skip));
}

void TaskDirectory::Close() noexcept {
  std::uint64_t links = 0;
  if (StillOurs(&links)) closedir(directory_);
  directory_ = nullptr;
}

void TaskDirectory::CloseInChild() noexcept {
  std::uint64_t links = 0;
  if (StillOurs(&links)) close(dirfd(directory_));
  lost_ = std::exchange(directory_, nullptr);
}

}  // namespace pprof::sampler
