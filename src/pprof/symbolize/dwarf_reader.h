// Lines and inlined functions of addresses, from the DWARF of a module: puts the parts of this
// folder together. Used by Symbolizer.
#pragma once

#include <cstdint>
#include <vector>

#include "src/pprof/symbolize/debug_files.h"
#include "src/pprof/symbolize/section_data.h"
#include "src/pprof/symbolize/string_table.h"
#include "src/pprof/symbolize/symbolizer.h"
#include "src/pprof/symbolize/work_budget.h"

namespace pprof::symbolize {

enum class DwarfResult { kRead, kNone, kDamaged, kOverBudget };

// Fills `frames` (parallel to `addresses`: sorted, unique, as in the file), innermost first; what
// no unit covers stays empty. `padding`: which of them lie in no function, by the symbol table.
// Texts are numbers in `texts`. Only mangled names: demangling comes last, once a name. Not
// async-signal-safe. May throw std::bad_alloc only.
DwarfResult ReadDwarf(const DebugFiles& files, const std::vector<std::uint64_t>& addresses,
                      const std::vector<bool>& padding, MemoryBudget* budget, WorkBudget* work,
                      StringTable* texts, std::vector<std::vector<Frame>>* frames);

}  // namespace pprof::symbolize
