// .eh_frame -> the rows that the handler searches. Trusts nothing: input is the bytes of any module
// that is loaded.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/pprof/base/large_vector.h"
#include "src/pprof/handler/unwind_table.h"

namespace pprof::unwind {

// Pointer encodings (LSB Core, 10.5.1).
enum PointerEncoding : std::uint8_t { kPeOmit = 0xff, kPePcRel = 0x10 };

struct EhFrame {
  const std::uint8_t* bytes = nullptr;  // a copy of the section, perhaps with what lies behind it
  std::size_t size = 0;
  std::uint64_t address = 0;        // of the section in memory
  std::uint64_t expected_fdes = 0;  // as the header says; 0: not known
};

struct CfiTable {
  base::LargeVector<handler::UnwindRow> rows;
  base::LargeVector<std::uint32_t> pages;           // as UnwindModule::pages
  base::LargeVector<handler::UnwindRow> base_rows;  // as UnwindModule::base_rows
  bool complete = false;  // false: the section is broken; what was read before holds
};

// Of a section; functions of later ones have no rows. A linker merges equal ones: the largest
// libraries have four, and one for each object file where that is switched off.
constexpr std::size_t kMaxCies = 65536;

// Rows for the code in [start, limit), relative to `base`. REQUIRES: base <= start <= limit < base
// + 4 GiB. Time is linear in the size of the section (sorting apart), memory at most some 15 times
// that and 12 MiB. May throw std::bad_alloc. Any thread. Not async-signal-safe.
CfiTable BuildCfiTable(const EhFrame& section, std::uint64_t base, std::uint64_t start,
                       std::uint64_t limit);

// What PT_GNU_EH_FRAME says (LSB Core, 10.6.2).
struct EhFrameHeader {
  std::uint64_t section = 0;    // address of .eh_frame; 0: not understood
  std::uint64_t fde_count = 0;  // entries of its search table; 0: not known
};

// `bytes` were read at `address`. Any thread. Not async-signal-safe.
EhFrameHeader ReadEhFrameHeader(const std::uint8_t* bytes, std::size_t size, std::uint64_t address);

}  // namespace pprof::unwind
