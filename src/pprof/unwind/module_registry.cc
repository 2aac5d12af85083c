#include "src/pprof/unwind/module_registry.h"

#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "src/pprof/elf/memory.h"
#include "src/pprof/elf/notes.h"
#include "src/pprof/handler/unwind_table.h"
#include "src/pprof/unwind/cfi_table.h"
#include "src/pprof/unwind/loaded_objects.h"

namespace pprof::unwind {
namespace {

using elf::Module;

// .eh_frame is some 10 % of the code; a segment that holds more than this beside it is not read to
// its end.
constexpr std::uint64_t kMaxEhFrameBytes = 256u << 20;
constexpr std::uint64_t kFirstEhFrameBytes = 1u << 20;
constexpr std::uint64_t kMaxNoteBytes = 64u << 10;
constexpr std::uint64_t kMaxCodeBytes = 0xf0000000u;  // row pcs have 32 bits

// One module instance with its rows; kept as long as the module is loaded, and by tables that name
// it.
struct Instance {
  std::shared_ptr<const Module> module;
  CfiTable table;
  std::uint64_t base = 0;
};

// A published table owns what it points to.
struct TableBlock {
  handler::UnwindTable table{};
  handler::RuleCache cache{};
  std::vector<handler::UnwindModule> modules;
  std::vector<std::shared_ptr<const Instance>> instances;
};

std::string ExecutablePath() {
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : std::string("[executable]");
}

std::string ReadBuildId(const LoadedObject& object) {
  for (int i = 0; i < object.note_count; ++i) {
    const std::uint64_t size = std::min(object.note_sizes[i], kMaxNoteBytes);
    const auto notes = elf::CopyMemoryUpTo(object.notes[i], size);
    std::string id = elf::FindBuildId(notes.data(), notes.size());
    if (!id.empty()) return id;
  }
  return "";
}

void ReadSegments(const LoadedObject& object, Module& module) {
  module.image_start = module.start = ~std::uint64_t{0};
  for (int i = 0; i < object.segment_count; ++i) {
    const LoadedObject::Segment& segment = object.segments[i];
    module.image_start = std::min(module.image_start, segment.start);
    module.image_limit = std::max(module.image_limit, segment.start + segment.size);
    if (!segment.executable) continue;
    if (segment.start < module.start) {
      module.start = segment.start;
      module.file_offset = segment.file_offset;
    }
    module.limit = std::max(module.limit, segment.start + segment.size);
  }
}

Module MakeModule(const LoadedObject& object, bool first) {
  Module module;
  module.bias = object.bias;
  ReadSegments(object, module);
  const std::uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
  module.main = first;
  if (first) {
    module.path = ExecutablePath();
    module.open_path = "/proc/self/exe";
  } else if (vdso != 0 && module.image_start == vdso) {
    module.path = "[vdso]";
  } else {
    module.path = module.open_path = object.path;
  }
  module.build_id = ReadBuildId(object);
  struct stat info = {};
  if (!module.open_path.empty() && stat(module.open_path.c_str(), &info) == 0) {
    module.device = info.st_dev;
    module.inode = info.st_ino;
  }
  return module;
}

// The end of the segment that holds `address`; .eh_frame ends there at the latest.
std::uint64_t SegmentEnd(const LoadedObject& object, std::uint64_t address) {
  for (int i = 0; i < object.segment_count; ++i) {
    const LoadedObject::Segment& segment = object.segments[i];
    if (address >= segment.start && address - segment.start < segment.size) {
      return segment.start + segment.size;
    }
  }
  return 0;
}

// Nothing says how large .eh_frame is, and a segment may hold much beside it: more is read only
// where the section goes on.
bool ReadSection(std::uint64_t start, std::uint64_t most, std::uint64_t fde_count,
                 Instance& instance) {
  for (std::uint64_t size = std::min(most, kFirstEhFrameBytes);; size = std::min(most, 4 * size)) {
    const auto bytes = elf::CopyMemoryUpTo(start, size);
    instance.table = {};
    instance.table = BuildCfiTable({bytes.data(), bytes.size(), start, fde_count}, instance.base,
                                   instance.module->start, instance.module->limit);
    if (instance.table.complete) return !instance.table.rows.empty();
    if (size == most || bytes.size() < size) return false;
  }
}

bool ReadTable(const LoadedObject& object, Instance& instance) {
  const auto header = elf::CopyMemoryUpTo(object.eh_frame_header,
                                          std::min<std::uint64_t>(object.eh_frame_header_size, 64));
  const auto [start, fde_count] =
      ReadEhFrameHeader(header.data(), header.size(), object.eh_frame_header);
  const std::uint64_t end = SegmentEnd(object, start);
  if (start == 0 || end == 0) return false;
  return ReadSection(start, std::min(end - start, kMaxEhFrameBytes), fde_count, instance);
}

bool SameObject(const Module& a, const Module& b) {
  return a.start == b.start && a.limit == b.limit && a.bias == b.bias && a.path == b.path &&
         a.build_id == b.build_id && a.inode == b.inode && a.device == b.device;
}

std::size_t TableBytes(const CfiTable& table) {
  return (table.rows.capacity() + table.base_rows.capacity()) * sizeof(handler::UnwindRow) +
         table.pages.capacity() * sizeof(std::uint32_t);
}

// Of all registries of the process: threads remember rules by it, in memory that outlives tables.
std::atomic<std::uint64_t> g_next_generation{1};

std::unique_ptr<TableBlock> MakeBlock(
    const std::vector<std::shared_ptr<const Instance>>& instances) {
  auto block = std::make_unique<TableBlock>();
  block->instances = instances;
  for (const auto& instance : instances) {
    const CfiTable& table = instance->table;
    if (table.rows.empty()) continue;
    block->modules.push_back(
        {instance->module->start, instance->module->limit, instance->base, table.rows.data(),
         table.pages.data(), static_cast<std::uint32_t>(table.rows.size()),
         static_cast<std::uint32_t>(table.pages.size() - 1), table.base_rows.data(),
         static_cast<std::uint32_t>(table.base_rows.size())});
  }
  block->table = {block->modules.data(), static_cast<std::uint32_t>(block->modules.size()),
                  &block->cache, g_next_generation.fetch_add(1, std::memory_order_relaxed)};
  return block;
}

}  // namespace

struct ModuleRegistry::State {
  LoaderCounters counters;
  bool read = false;
  bool raced = false;  // an object went away while it was read: look again at the next tick
  std::vector<std::shared_ptr<const Instance>> instances;  // sorted by start
  std::unique_ptr<TableBlock> published;
  std::vector<std::unique_ptr<TableBlock>> retired;
  RegistryStats stats;
  mutable std::mutex list_mutex;
  std::shared_ptr<const elf::ModuleList> list = std::make_shared<elf::ModuleList>();

  std::shared_ptr<const Instance> FindOrBuild(const LoadedObject& object, bool first,
                                              const LoaderCounters& listed);
  bool Update(std::vector<std::shared_ptr<const Instance>> fresh);
  void Publish(std::vector<std::shared_ptr<const Instance>> fresh);
};

// The known instance of an object, or a new one with its rows. `listed`: the counters when the
// object was seen.
std::shared_ptr<const Instance> ModuleRegistry::State::FindOrBuild(const LoadedObject& object,
                                                                   bool first,
                                                                   const LoaderCounters& listed) {
  auto module = std::make_shared<Module>(MakeModule(object, first));
  if (module->limit <= module->start || module->limit - module->start > kMaxCodeBytes)
    return nullptr;
  for (const auto& known : instances) {
    if (SameObject(*known->module, *module)) return known;
  }
  auto instance = std::make_shared<Instance>();
  instance->module = std::move(module);
  instance->base = instance->module->start & ~std::uint64_t{0xfff};
  const bool fine = object.eh_frame_header == 0 || ReadTable(object, *instance);
  if (!fine && !(ReadLoaderCounters() == listed)) {  // perhaps not broken, but unloaded meanwhile
    raced = true;
    return nullptr;
  }
  ++stats.modules_loaded;
  if (!fine) ++stats.modules_unreadable;
  return instance;
}

bool ModuleRegistry::State::Update(std::vector<std::shared_ptr<const Instance>> fresh) {
  std::sort(fresh.begin(), fresh.end(),
            [](const auto& a, const auto& b) { return a->module->start < b->module->start; });
  // Overlap means that something was unloaded while the objects were read: the next round sees it
  // right.
  const auto overlaps = [](const auto& a, const auto& b) {
    return a->module->limit > b->module->start;
  };
  fresh.erase(std::unique(fresh.begin(), fresh.end(), overlaps), fresh.end());
  if (fresh == instances) return false;
  Publish(std::move(fresh));
  return true;
}

// Whatever may throw comes first: a table is published wholly or not at all.
void ModuleRegistry::State::Publish(std::vector<std::shared_ptr<const Instance>> fresh) {
  const bool unloaded = !std::all_of(instances.begin(), instances.end(), [&](const auto& old) {
    return std::find(fresh.begin(), fresh.end(), old) != fresh.end();
  });
  auto next = std::make_shared<elf::ModuleList>();
  next->version = list->version + (unloaded ? 1 : 0);
  for (const auto& instance : fresh) next->modules.push_back(instance->module);
  auto block = MakeBlock(fresh);
  retired.reserve(retired.size() + 1);

  handler::g_unwind_table.store(&block->table, std::memory_order_seq_cst);
  if (published != nullptr) retired.push_back(std::move(published));
  published = std::move(block);
  instances = std::move(fresh);
  const std::lock_guard<std::mutex> lock(list_mutex);
  list = std::move(next);
}

ModuleRegistry::ModuleRegistry() : state_(new State()) {}

bool ModuleRegistry::Refresh(bool force) noexcept {
  try {
    State& state = *state_;
    if (!force && state.read && ReadLoaderCounters() == state.counters) return false;
    std::vector<LoadedObject> objects;
    const LoaderCounters counters = ReadLoadedObjects(&objects);
    std::vector<std::shared_ptr<const Instance>> fresh;
    state.raced = false;
    for (std::size_t i = 0; i < objects.size(); ++i) {
      auto instance =
          state.FindOrBuild(objects[i], i == 0, counters);  // the loader lists the executable first
      if (instance != nullptr) fresh.push_back(std::move(instance));
    }
    const bool changed = state.Update(std::move(fresh));
    if (!state.raced) {
      state.counters = counters;
      state.read = true;
    }
    return changed;
  } catch (...) {  // no memory: the tables stay as they were; tried again at the next tick
    return false;
  }
}

std::shared_ptr<const elf::ModuleList> ModuleRegistry::Current() const noexcept {
  const std::lock_guard<std::mutex> lock(state_->list_mutex);
  return state_->list;
}

bool ModuleRegistry::has_retired() const noexcept { return !state_->retired.empty(); }

void ModuleRegistry::ReclaimRetired() noexcept { state_->retired.clear(); }

RegistryStats ModuleRegistry::stats() const noexcept {
  RegistryStats stats = state_->stats;
  // Instances of retired tables that are loaded no more are few and short-lived: counted while they
  // are there.
  std::vector<const Instance*> all;
  try {
    for (const auto& instance : state_->instances) all.push_back(instance.get());
    for (const auto& block : state_->retired) {
      for (const auto& instance : block->instances) all.push_back(instance.get());
    }
  } catch (...) {
    return stats;
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  for (const Instance* instance : all) stats.table_bytes += TableBytes(instance->table);
  return stats;
}

}  // namespace pprof::unwind
