// /proc/self/task: one entry a thread of this process. Kept open, because looking the path up costs
// more than all else that the collector does in an idle tick.
#pragma once

#include <dirent.h>
#include <sys/types.h>

#include <cstdint>
#include <cstdlib>

namespace pprof::sampler {

// One thread at a time. Not async-signal-safe. Nothing throws.
class TaskDirectory {
 public:
  TaskDirectory() = default;
  ~TaskDirectory() { Close(); }
  TaskDirectory(const TaskDirectory&) = delete;
  TaskDirectory& operator=(const TaskDirectory&) = delete;

  // The directory's links: the number of threads and kOwnLinks; 0: /proc is not there (errno).
  std::uint64_t Links() noexcept;
  static constexpr std::uint64_t kOwnLinks = 2;

  // Calls f(tid) for the threads from the `skip`th on, in the order of their creation. False: the
  // directory cannot be opened (errno).
  template <class F>
  bool List(std::uint64_t skip, F&& f) noexcept {
    if (Links() == 0) return false;
    Seek(skip);
    while (const dirent* entry = readdir(directory_)) {
      const int tid = std::atoi(entry->d_name);
      if (tid > 0) f(tid);
    }
    return true;
  }

  void Close() noexcept;
  // In a fork child: closes the descriptor that it inherited, frees nothing.
  void CloseInChild() noexcept;

 private:
  bool Open() noexcept;
  bool StillOurs(std::uint64_t* links) const noexcept;
  void Seek(std::uint64_t skip) noexcept;

  DIR* directory_ = nullptr;
  DIR* lost_ = nullptr;  // its descriptor is not ours any more
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace pprof::sampler
