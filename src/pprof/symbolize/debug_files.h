// Finds the files that describe a loaded module: its own file, checked to be the one that is
// loaded, and the separate debug files that distributions ship. Looks only at local paths. Used by
// Symbolizer. Places: GDB manual, "Debugging Information in Separate Files" and "MiniDebugInfo";
// .gnu_debugaltlink: dwz(1).
#pragma once

#include <memory>
#include <string>

#include "src/pprof/elf/module.h"
#include "src/pprof/symbolize/elf_file.h"
#include "src/pprof/symbolize/section_data.h"

namespace pprof::symbolize {

struct DebugFiles {
  std::unique_ptr<ElfFile> main;   // the module itself; nullptr: gone, replaced or broken
  std::unique_ptr<ElfFile> debug;  // separate debug file; nullptr: none needed or none found
  std::unique_ptr<ElfFile> mini;   // .gnu_debugdata; nullptr: none, or not needed
  std::unique_ptr<ElfFile> alt;    // what dwz moved out of the file that dwarf() names

  std::string directory;  // of the module, with a slash at its end; empty: not known

  // The file whose DWARF to read, nullptr if there is none.
  const ElfFile* dwarf() const;
};

// Not async-signal-safe. `debug_root` is /usr/lib/debug but in tests. Unpacked mini-debuginfo comes
// out of `budget`.
DebugFiles OpenDebugFiles(const elf::Module& module, const std::string& debug_root,
                          MemoryBudget* budget);

}  // namespace pprof::symbolize
