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
#include "tests/support/loadable_elf.h"

namespace pprof::unwind {
namespace {

constexpr double kMaxSeconds = 2, kMaxMib = 64;

using test::kTable;

std::string Library(const std::string& eh_frame, std::uint32_t fdes, std::uint64_t behind) {
  test::ElfWriter file;
  test::MakeLoadable(&file, {}, eh_frame, fdes, behind);
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
