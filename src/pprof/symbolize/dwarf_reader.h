// Lines and inlined functions of addresses, from the DWARF of a module: puts the parts of this
// folder together. Used by Symbolizer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/pprof/symbolize/debug_files.h"
#include "src/pprof/symbolize/section_data.h"

namespace pprof::symbolize {

// Like Frame, with texts of its own. Only the mangled name: demangling comes last, once a name.
struct ResolvedFrame {
  std::string system_name;
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t start_line = 0;
};

enum class DwarfResult { kRead, kNone, kDamaged, kOverBudget };

// Fills `frames` (parallel to `addresses`: sorted, unique, as in the file), innermost first; what
// no unit covers stays empty. Not async-signal-safe. May throw std::bad_alloc only.
DwarfResult ReadDwarf(const DebugFiles& files, const std::vector<std::uint64_t>& addresses,
                      MemoryBudget* budget, std::vector<std::vector<ResolvedFrame>>* frames);

}  // namespace pprof::symbolize
