// Arbitrary bytes as .eh_frame, and random lookups in what came out. The first bytes choose the
// place of the code and what the header claims.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "src/pprof/elf/byte_reader.h"
#include "src/pprof/handler/unwind_table.h"
#include "src/pprof/handler/walk.h"
#include "src/pprof/unwind/cfi_table.h"

namespace {

using pprof::unwind::CfiTable;

constexpr std::uint64_t kSectionAddress = 0x7000;

void Check(bool condition) {
  if (!condition) std::abort();
}

void CheckTable(const CfiTable& table, std::uint64_t base, std::uint64_t limit, std::size_t input) {
  Check(table.rows.size() <= input + 2);
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    Check(table.rows[i].pc <= limit - base);
    Check(i == 0 || table.rows[i - 1].pc < table.rows[i].pc);
    Check(i == 0 || table.rows[i - 1].rule != table.rows[i].rule);
  }
  Check(table.base_rows.size() <= input + 2);
  for (std::size_t i = 1; i < table.base_rows.size(); ++i) {
    Check(table.base_rows[i - 1].pc < table.base_rows[i].pc);
  }
  Check(std::is_sorted(table.pages.begin(), table.pages.end()));
  Check(table.pages.size() >= 2 && table.pages.back() == table.rows.size());
}

// All registers are `value`, but the program counter.
void SetRegisters(mcontext_t* registers, std::uintptr_t value, std::uintptr_t pc) {
#if defined(__x86_64__)
  for (greg_t& reg : registers->gregs) reg = static_cast<greg_t>(value);
  registers->gregs[REG_RIP] = static_cast<greg_t>(pc);
#else
  for (auto& reg : registers->regs) reg = value;
  registers->sp = value;
  registers->pc = pc;
#endif
}

// Walks from many pcs over a stack of hostile words; the table's rules decide what is read.
void WalkWith(const CfiTable& table, std::uint64_t start, std::uint64_t limit, std::uint64_t base,
              const std::uint8_t* data, std::size_t size) {
  const pprof::handler::UnwindModule module = {start,
                                               limit,
                                               base,
                                               table.rows.data(),
                                               table.pages.data(),
                                               static_cast<std::uint32_t>(table.rows.size()),
                                               static_cast<std::uint32_t>(table.pages.size() - 1),
                                               table.base_rows.data(),
                                               static_cast<std::uint32_t>(table.base_rows.size())};
  const pprof::handler::UnwindTable all = {&module, 1};
  pprof::handler::g_unwind_table.store(&all);
  std::uintptr_t stack[256];
  const auto low = reinterpret_cast<std::uintptr_t>(stack);
  for (std::size_t i = 0; i < 256; ++i) {
    const std::uint8_t byte = size == 0 ? 0 : data[i % size];
    stack[i] = byte % 3 == 0 ? start + byte * 16u : byte % 3 == 1 ? low + byte * 8u : byte;
  }
  std::uint64_t frames[64];
  const std::size_t step = table.rows.size() / 32 + 1;
  for (std::size_t row = 0; row < table.rows.size(); row += step) {
    ucontext_t context = {};
    SetRegisters(&context.uc_mcontext, low + 1024, base + table.rows[row].pc);
    const auto result =
        pprof::handler::Walk(context, {low, low + sizeof stack}, frames, std::size(frames));
    Check(result.frames >= 1 && result.frames <= std::size(frames));
  }
  pprof::handler::g_unwind_table.store(nullptr);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  const std::uint64_t start = 0x10000 + data[0] * 0x100u;
  const std::uint64_t limit = start + data[1] * 0x1000u + 1;
  const std::uint64_t expected = data[2];
  data += 4;
  size -= 4;
  const std::uint64_t base = start & ~std::uint64_t{0xffff};
  const CfiTable table =
      pprof::unwind::BuildCfiTable({data, size, kSectionAddress, expected}, base, start, limit);
  CheckTable(table, base, limit, size);
  WalkWith(table, start, limit, base, data, size);
  pprof::unwind::ReadEhFrameHeader(data, size, kSectionAddress);
  return 0;
}
