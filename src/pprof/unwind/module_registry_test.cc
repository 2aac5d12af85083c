#include "src/pprof/unwind/module_registry.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "src/pprof/handler/unwind_table.h"

namespace pprof::unwind {
namespace {

// Never destroyed, by contract; kept where a leak checker finds them.
ModuleRegistry& NewRegistry() {
  static auto& kept = *new std::vector<ModuleRegistry*>();
  kept.push_back(new ModuleRegistry());
  return *kept.back();
}

const elf::Module* ModuleOf(const elf::ModuleList& list, const void* code) {
  return list.Find(reinterpret_cast<std::uint64_t>(code));
}

const handler::UnwindModule* TableOf(const void* code) {
  const handler::UnwindTable* const table = handler::g_unwind_table.load();
  const auto pc = reinterpret_cast<std::uintptr_t>(code);
  for (std::uint32_t i = 0; i < table->module_count; ++i) {
    const handler::UnwindModule& module = table->modules[i];
    if (pc >= module.start && pc < module.limit) return &module;
  }
  return nullptr;
}

// A library that nothing in this program uses.
void* OpenLibrary() { return dlopen("libBrokenLocale.so.1", RTLD_NOW | RTLD_LOCAL); }
void* CodeOf(void* library) { return dlsym(library, "__ctype_get_mb_cur_max"); }

TEST(ModuleRegistry, HasAnEmptyListAtFirst) {
  ModuleRegistry& registry = NewRegistry();
  ASSERT_NE(registry.Current(), nullptr);
  EXPECT_TRUE(registry.Current()->modules.empty());
  EXPECT_FALSE(registry.has_retired());
}

TEST(ModuleRegistry, DescribesTheExecutable) {
  ModuleRegistry& registry = NewRegistry();
  ASSERT_TRUE(registry.Refresh());
  const auto list = registry.Current();
  const elf::Module* const module = ModuleOf(*list, reinterpret_cast<const void*>(&OpenLibrary));
  ASSERT_NE(module, nullptr);
  EXPECT_TRUE(module->main);
  char path[4096] = {};
  ASSERT_GT(readlink("/proc/self/exe", path, sizeof path - 1), 0);
  EXPECT_EQ(module->path, path);
  EXPECT_EQ(module->open_path, "/proc/self/exe");
  EXPECT_EQ(module->build_id.size(), 20u);
  struct stat info = {};
  ASSERT_EQ(stat("/proc/self/exe", &info), 0);
  EXPECT_EQ(module->device, info.st_dev);
  EXPECT_EQ(module->inode, info.st_ino);
  EXPECT_LE(module->image_start, module->start);
  EXPECT_GE(module->image_limit, module->limit);
  EXPECT_EQ(module->start - module->bias, module->file_offset) << "of an unprelinked executable";
}

TEST(ModuleRegistry, KnowsTheVdsoAsMemoryOnly) {
  ModuleRegistry& registry = NewRegistry();
  ASSERT_TRUE(registry.Refresh());
  const std::uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
  if (vdso == 0) GTEST_SKIP() << "no vDSO here";
  const elf::Module* const module = registry.Current()->Find(vdso + 0x800);
  ASSERT_NE(module, nullptr);
  EXPECT_EQ(module->path, "[vdso]");
  EXPECT_EQ(module->open_path, "");
  EXPECT_FALSE(module->build_id.empty());
  const handler::UnwindModule* const table = TableOf(reinterpret_cast<const void*>(vdso + 0x800));
  ASSERT_NE(table, nullptr);
  EXPECT_GT(table->row_count, 10u);
}

TEST(ModuleRegistry, HasRowsForEveryModuleOfThisProgram) {
  ModuleRegistry& registry = NewRegistry();
  ASSERT_TRUE(registry.Refresh());
  const auto list = registry.Current();
  EXPECT_GE(list->modules.size(), 5u);
  EXPECT_EQ(registry.stats().modules_loaded, list->modules.size());
  EXPECT_EQ(registry.stats().modules_unreadable, 0u);
  EXPECT_EQ(handler::g_unwind_table.load()->module_count, list->modules.size());
  EXPECT_GT(registry.stats().table_bytes, 100'000u);
  std::uint64_t end = 0;
  for (const auto& module : list->modules) {
    EXPECT_GE(module->start, end) << "sorted, not overlapping";
    end = module->limit;
  }
}

TEST(ModuleRegistry, EveryTableHasAnEmptyCacheOfItsOwn) {
  ModuleRegistry& registry = NewRegistry();
  ASSERT_TRUE(registry.Refresh());
  const handler::UnwindTable* const first = handler::g_unwind_table.load();
  ASSERT_NE(first->cache, nullptr);
  first->cache->Remember({0, 0x123, 7});
  void* const library = OpenLibrary();
  ASSERT_NE(library, nullptr) << dlerror();
  ASSERT_TRUE(registry.Refresh());
  const handler::UnwindTable* const second = handler::g_unwind_table.load();
  ASSERT_NE(second->cache, nullptr);
  EXPECT_NE(second->cache, first->cache) << "an index may name another module now";
  handler::CachedRule found;
  EXPECT_TRUE(first->cache->Find(0x123, &found));
  EXPECT_FALSE(second->cache->Find(0x123, &found));
  EXPECT_NE(first->generation, 0u);
  EXPECT_NE(second->generation, first->generation) << "threads remember rules by it";
  dlclose(library);
}

TEST(ModuleRegistry, BasesAreWholePages) {  // RuleCache relies on it to be of use
  ModuleRegistry& registry = NewRegistry();
  ASSERT_TRUE(registry.Refresh());
  const handler::UnwindTable* const table = handler::g_unwind_table.load();
  for (std::uint32_t i = 0; i < table->module_count; ++i) {
    EXPECT_EQ(table->modules[i].base % 4096, 0u);
  }
}

TEST(ModuleRegistry, DoesNothingWhileNothingIsLoaded) {
  ModuleRegistry& registry = NewRegistry();
  ASSERT_TRUE(registry.Refresh());
  const handler::UnwindTable* const table = handler::g_unwind_table.load();
  EXPECT_FALSE(registry.Refresh());
  EXPECT_FALSE(registry.Refresh(true));
  EXPECT_EQ(handler::g_unwind_table.load(), table);
  EXPECT_FALSE(registry.has_retired());
}

TEST(ModuleRegistry, FollowsDlopenAndDlclose) {
  ModuleRegistry& registry = NewRegistry();
  ASSERT_TRUE(registry.Refresh());
  const auto before = registry.Current();
  const handler::UnwindModule* const own = TableOf(reinterpret_cast<const void*>(&OpenLibrary));
  const handler::UnwindRow* const own_rows = own->rows;

  void* const library = OpenLibrary();
  ASSERT_NE(library, nullptr) << dlerror();
  const void* const code = CodeOf(library);
  ASSERT_NE(code, nullptr);
  EXPECT_EQ(TableOf(code), nullptr);
  ASSERT_TRUE(registry.Refresh());
  EXPECT_EQ(registry.Current()->version, before->version) << "only added";
  ASSERT_NE(ModuleOf(*registry.Current(), code), nullptr);
  EXPECT_NE(ModuleOf(*registry.Current(), code)->path.find("libBrokenLocale"), std::string::npos);
  ASSERT_NE(TableOf(code), nullptr);
  EXPECT_EQ(TableOf(reinterpret_cast<const void*>(&OpenLibrary))->rows, own_rows)
      << "rows are built once";
  EXPECT_TRUE(registry.has_retired());

  const std::uint64_t loaded = registry.stats().modules_loaded;
  const std::size_t bytes = registry.stats().table_bytes;
  dlclose(library);
  ASSERT_TRUE(registry.Refresh());
  EXPECT_EQ(registry.Current()->version, before->version + 1);
  EXPECT_EQ(ModuleOf(*registry.Current(), code), nullptr);
  EXPECT_EQ(TableOf(code), nullptr);
  EXPECT_EQ(registry.stats().table_bytes, bytes) << "retired tables count";
  registry.ReclaimRetired();
  EXPECT_FALSE(registry.has_retired());
  EXPECT_LT(registry.stats().table_bytes, bytes);
  EXPECT_EQ(registry.stats().modules_loaded, loaded);
}

TEST(ModuleRegistry, FindsALibraryThatWasClosedAndOpenedAgain) {
  ModuleRegistry& registry = NewRegistry();
  for (int i = 0; i < 20; ++i) {
    void* const library = OpenLibrary();
    ASSERT_NE(library, nullptr);
    registry.Refresh();
    ASSERT_NE(TableOf(CodeOf(library)), nullptr);
    ASSERT_NE(ModuleOf(*registry.Current(), CodeOf(library)), nullptr);
    dlclose(library);
    if (i % 2 == 0) registry.Refresh();
    if (i % 3 == 0) registry.ReclaimRetired();
  }
}

}  // namespace
}  // namespace pprof::unwind
