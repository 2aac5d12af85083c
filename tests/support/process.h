// What the operating system says about this process, and children whose fate is checked.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace test {

// Lines of a /proc file that begin with `prefix`.
inline int CountLines(const std::string& path, const std::string& prefix) {
  std::ifstream in(path);
  int count = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, prefix.size(), prefix) == 0) ++count;
  }
  return count;
}

// POSIX timers of this process (proc(5), needs CONFIG_CHECKPOINT_RESTORE); -1: the kernel does not
// tell.
inline int CountTimers() {
  return std::ifstream("/proc/self/timers").good() ? CountLines("/proc/self/timers", "ID:") : -1;
}

inline int CountThreads() {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, 8, "Threads:") == 0) return std::stoi(line.substr(8));
  }
  return -1;
}

// Kernel ids of the threads of this process.
inline std::vector<int> ThreadIds() {
  std::vector<int> ids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    ids.push_back(std::stoi(entry.path().filename()));
  }
  return ids;
}

// Runs `body` in a fork child that must end within `seconds`; its exit status as from waitpid, or
// -1 if it hung and was killed. The child ends with _exit(body()).
inline int RunInChild(const std::function<int()>& body, unsigned seconds = 60) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) _exit(body());
  for (unsigned waited = 0; waited < seconds * 100; ++waited) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) return status;
    usleep(10000);
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return -1;
}

}  // namespace test
