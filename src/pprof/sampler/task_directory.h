// /proc/self/task: one entry a thread of this process. Kept open, because looking the path up costs
// more than all else that the collector does in an idle tick.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace pprof::sampler {

// One thread at a time. Not async-signal-safe. Nothing throws.
class TaskDirectory {
 public:
  TaskDirectory() = default;
  ~TaskDirectory() { Close(); }
  TaskDirectory(const TaskDirectory&) = delete;
  TaskDirectory& operator=(const TaskDirectory&) = delete;

  // A number that changes with the number of threads (the directory's links); 0: /proc is not
  // there.
  std::uint64_t Links() noexcept;
  void Close() noexcept;

 private:
  bool Open() noexcept;
  bool StillOurs(std::uint64_t* links) const noexcept;

  int fd_ = -1;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace pprof::sampler
