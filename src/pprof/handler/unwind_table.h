// The compact call-frame tables that the handler searches. Built by unwind/ off-signal from
// .eh_frame, published as one immutable UnwindTable; the handler only reads, its RuleCache apart.
// Everything in it is the library's own memory, so that unloading a module can never make a lookup
// fault.
#pragma once

#include <atomic>
#include <cstdint>

#include "src/pprof/handler/rule_cache.h"

namespace pprof::handler {

// One row: from this pc (relative to UnwindModule::base) up to the next row's, `rule` holds. The
// encoding of `rule` depends on the architecture and is described in walk_<arch>.h.
struct UnwindRow {
  std::uint32_t pc;
  std::uint32_t rule;
};

// A page of code in UnwindModule::pages: 1 KiB, which holds some 20 rows. A lookup then reads two
// or three cache lines of rows; the index costs 0.4 % of the code.
inline constexpr unsigned kUnwindPageShift = 10;

// The code of one loaded module.
struct UnwindModule {
  std::uintptr_t start;        // of its executable memory
  std::uintptr_t limit;        // first address behind it
  std::uintptr_t base;         // what row pcs count from: start rounded down to a page
  const UnwindRow* rows;       // sorted by pc
  const std::uint32_t* pages;  // pages[p]: index of the first row with pc >= p << kUnwindPageShift;
                               // page_count + 1 entries
  std::uint32_t row_count;
  std::uint32_t page_count;
  // Only of modules with code whose rules need one more register in frames that called another
  // function: where each function has saved that register. Sorted by pc.
  const UnwindRow* base_rows = nullptr;
  std::uint32_t base_row_count = 0;
};

// All modules, sorted by start, not overlapping.
struct UnwindTable {
  const UnwindModule* modules;
  std::uint32_t module_count;
  RuleCache* cache = nullptr;    // of this table alone, filled by the handler; nullptr: none
  std::uint64_t generation = 0;  // no other table of the process ever has it; 0: none was published
};

// What the handler walks with; nullptr: no tables yet. Written by unwind/ with release order.
extern std::atomic<const UnwindTable*> g_unwind_table;

}  // namespace pprof::handler
