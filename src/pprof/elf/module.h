// One loaded object (executable, shared library, vDSO) as the dynamic loader had it. The contract
// between the stages: unwind/ makes these, symbolize/ reads names for their addresses, profiler/
// writes them as pprof mappings.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace pprof::elf {

struct Module {
  std::string path;  // as the loader knows it; the executable's real path; "[vdso]"
  std::string
      open_path;  // what to open to read it: path, or /proc/self/exe; empty: only in memory (vDSO)
  std::string build_id;     // raw bytes of NT_GNU_BUILD_ID read from memory; empty: none
  std::uint64_t bias = 0;   // run-time address - address in the file (dlpi_addr)
  std::uint64_t start = 0;  // run-time span of the executable segments
  std::uint64_t limit = 0;
  std::uint64_t file_offset = 0;  // p_offset of the first executable segment (matches start)
  std::uint64_t device = 0;       // st_dev, st_ino of the mapped file; 0: not known
  std::uint64_t inode = 0;
  std::uint64_t image_start = 0;  // run-time span of all PT_LOAD segments
  std::uint64_t image_limit = 0;
  bool main = false;  // the executable
};

// What was loaded from one moment to the next unload. Immutable.
struct ModuleList {
  std::uint64_t version = 0;
  std::vector<std::shared_ptr<const Module>> modules;  // sorted by start

  // The module whose code holds `pc`, nullptr if none. Not async-signal-safe.
  const Module* Find(std::uint64_t pc) const noexcept {
    std::size_t low = 0, high = modules.size();
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (modules[middle]->limit <= pc)
        low = middle + 1;
      else
        high = middle;
    }
    return low < modules.size() && modules[low]->start <= pc ? modules[low].get() : nullptr;
  }
};

}  // namespace pprof::elf
