// Libraries that no linker would make, but the loader takes: their unwind tables are read in
// bounded time and memory. Not run under sanitizers, which keep freed memory.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <link.h>
#include <unistd.h>

#include "src/pprof/handler/unwind_table.h"
#include "src/pprof/unwind/eh_frame_builder.h"
#include "src/pprof/unwind/module_registry.h"
#include "tests/support/bounded.h"
#include "tests/support/elf_writer.h"

namespace pprof::unwind {
namespace {

constexpr double kMaxSeconds = 2, kMaxMib = 64;

constexpr std::uint64_t kTable = 0x100000;  // where the code ends and .eh_frame begins

// One segment, whose addresses are its offsets: code, .eh_frame, and `behind` bytes of zeros.
std::string Library(const std::string& eh_frame, std::uint32_t fdes, std::uint64_t behind) {
  test::ElfWriter file;
  const auto add = [&](const std::string& bytes) {
    return file.section(file.Add("", bytes)).sh_offset;
  };
  std::string symbols(24, '\0'), dynamic;
  const std::uint64_t symbols_at = add(symbols);
  for (const std::uint64_t word :
       {std::uint64_t{DT_STRTAB}, symbols_at, std::uint64_t{DT_SYMTAB}, symbols_at,
        std::uint64_t{DT_STRSZ}, std::uint64_t{1}, std::uint64_t{DT_NULL}, std::uint64_t{0}})
    test::Append(&dynamic, word);
  const std::uint64_t dynamic_at = add(dynamic);
  std::string header("\1\x1b\3\xff", 4);  // pcrel sdata4, udata4, no search table
  const std::uint64_t header_at = dynamic_at + dynamic.size();
  test::Append(&header, static_cast<std::uint32_t>(kTable - header_at - 4));
  test::Append(&header, fdes);
  add(header);
  add(std::string(kTable - header_at - header.size(), '\0'));
  const std::uint64_t size = add(eh_frame) + eh_frame.size();
  add(std::string(8192, '\0'));  // the loader clears the rest of a page: not the program headers
  Elf64_Phdr load = {};
  load.p_type = PT_LOAD;
  load.p_flags = PF_R | PF_W | PF_X;
  load.p_filesz = size;
  load.p_memsz = size + behind;
  load.p_align = 4096;
  Elf64_Phdr info = load;
  info.p_type = PT_GNU_EH_FRAME;
  info.p_offset = info.p_vaddr = info.p_paddr = header_at;
  info.p_filesz = info.p_memsz = header.size();
  Elf64_Phdr loader = load;
  loader.p_type = PT_DYNAMIC;
  loader.p_offset = loader.p_vaddr = loader.p_paddr = dynamic_at;
  loader.p_filesz = loader.p_memsz = dynamic.size();
  loader.p_align = 8;
  file.segments = {load, loader, info};
  return file.Bytes();
}

// FDEs of 16 bytes of code each, pcrel: relocated from the builder's address to kTable.
std::string Section(std::size_t fdes, std::uint64_t step) {
  EhFrameBuilder builder;
  const std::size_t cie = builder.Cie();
  for (std::size_t i = 0; i < fdes; ++i)
    builder.Fde(cie, EhFrameBuilder::kAddress - kTable + 0x1000 + i * step, 16, {0x41, 0x0e, 16});
  builder.Terminator();
  return {builder.bytes().begin(), builder.bytes().end()};
}

// The rows that the library has; fails where time or memory is exceeded.
std::uint64_t RowsOf(const std::string& library) {
  const std::string path = testing::TempDir() + "hostile_module_" + std::to_string(getpid());
  std::ofstream(path, std::ios::binary) << library;
  const test::Cost cost = test::CostOf([&]() -> std::uint64_t {
    void* const opened = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (opened == nullptr) std::puts(dlerror());
    if (opened == nullptr) return std::uint64_t{1} << 40;
    auto& registry = *new ModuleRegistry();
    registry.Refresh();
    const auto base = static_cast<const link_map*>(opened)->l_addr;
    const handler::UnwindTable* const table = handler::g_unwind_table.load();
    for (std::uint32_t i = 0; i < table->module_count; ++i) {
      if (table->modules[i].start == base) return table->modules[i].row_count;
    }
    return 0;
  });
  unlink(path.c_str());
  EXPECT_TRUE(cost.ended);
  EXPECT_LE(cost.cpu_seconds, kMaxSeconds);
  EXPECT_LE(cost.peak_mib, kMaxMib);
  std::printf("%.3f s, %.1f MiB\n", cost.cpu_seconds, cost.peak_mib);
  return cost.result;
}

TEST(HostileModule, WithManyBytesBehindItsTable) {
  EXPECT_EQ(RowsOf(Library(Section(2, 16), 2, 250u << 20)), 5u);
}

TEST(HostileModule, WhoseTableIsLongerThanWhatIsReadFirst) {
  EXPECT_EQ(RowsOf(Library(Section(60000, 16), 60000, 250u << 20)), 120001u);
}

TEST(HostileModule, WhoseFunctionsAllBeginTogether) {
  EXPECT_EQ(RowsOf(Library(Section(200000, 0), 200000, 4096)), 3u);
}

TEST(HostileModule, OfGigabytesOfCode) {
  EXPECT_EQ(RowsOf(Library(Section(2, 16), 2, std::uint64_t{3} << 30)), 5u);
}

}  // namespace
}  // namespace pprof::unwind
