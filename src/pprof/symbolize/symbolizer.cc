#include "src/pprof/symbolize/symbolizer.h"

#include <elf.h>

#include <algorithm>
#include <new>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "src/pprof/symbolize/answer_cache.h"
#include "src/pprof/symbolize/debug_files.h"
#include "src/pprof/symbolize/demangle.h"
#include "src/pprof/symbolize/dwarf_reader.h"
#include "src/pprof/symbolize/symbol_table.h"

namespace pprof::symbolize {
namespace {

constexpr std::size_t kMaxCacheBytes = 16u << 20;
constexpr std::size_t kMaxCountedModules = 4096;
// Steps of work for a module, beside what the size of its sections grants. Real files take a
// fraction of them.
constexpr std::uint64_t kMinWork = 4u << 20;

// Equal for the same file only.
std::string KeyOf(const elf::Module& module) {
  if (!module.build_id.empty()) return "id:" + module.build_id;
  return "path:" + std::to_string(module.device) + ":" + std::to_string(module.inode) + ":" +
         module.path;
}

void FindNames(const DebugFiles& files, const std::vector<std::uint64_t>& addresses,
               WorkBudget* work, std::vector<std::string>* names) {
  for (const ElfFile* file : {files.main.get(), files.debug.get(), files.mini.get()}) {
    if (file != nullptr) FindSymbols(*file, SHT_SYMTAB, addresses, work, names);
  }
  FindSymbols(*files.main, SHT_DYNSYM, addresses, work, names);
  FindPltStubs(*files.main, addresses, names);
}

}  // namespace

struct Symbolizer::State {
  State(std::size_t cap, std::string root) : memory_cap(cap), debug_root(std::move(root)) {}

  // Answers for addresses that the cache does not have: sorted, unique, as in the file.
  std::vector<std::vector<Frame>> Resolve(const elf::Module& module, const std::string& key,
                                          const std::vector<std::uint64_t>& addresses,
                                          StringTable* texts);
  void Count(const std::string& key, std::uint64_t* counter);

  std::size_t memory_cap;
  std::string debug_root;
  SymbolizerStats stats;
  AnswerCache cache{kMaxCacheBytes};
  std::unordered_set<std::string> counted;  // modules that are in a counter already
};

// Each module counts once. The memory of who was counted is bounded: a process that loads more
// broken modules than that counts some of them again.
void Symbolizer::State::Count(const std::string& key, std::uint64_t* counter) {
  if (counted.size() >= kMaxCountedModules) counted.clear();
  if (counted.insert(key).second) ++*counter;
}

namespace {

// Addresses between functions: without a symbol although there is a table of all symbols.
std::vector<bool> Padding(const DebugFiles& files, const std::vector<std::string>& names) {
  std::vector<bool> padding(names.size());
  bool has_symbols = false;
  for (const ElfFile* file : {files.main.get(), files.debug.get()})
    has_symbols |= file != nullptr && file->FindType(SHT_SYMTAB) != nullptr;
  for (std::size_t i = 0; i < names.size(); ++i) padding[i] = has_symbols && names[i].empty();
  return padding;
}

// The symbol table knows the outermost function better: clones have their suffix only there.
void SetOutermostNames(const std::vector<std::string>& names, StringTable* texts,
                       std::vector<std::vector<Frame>>* frames) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::vector<Frame>& found = (*frames)[i];
    if (!names[i].empty()) {
      if (found.empty()) found.emplace_back();
      found.back().system_name = texts->Intern(names[i]);
    }
    // Padding between functions has a line at times, and no name: nothing to show.
    const auto nameless = [](const Frame& frame) { return frame.system_name == 0; };
    found.erase(std::remove_if(found.begin(), found.end(), nameless), found.end());
  }
}

// Once a name: it is the dearest step.
void DemangleNames(StringTable* texts, std::vector<std::vector<Frame>>* all) {
  std::unordered_map<std::uint32_t, std::uint32_t> demangled;
  for (std::vector<Frame>& frames : *all) {
    for (Frame& frame : frames) {
      const auto [known, added] = demangled.emplace(frame.system_name, 0);
      if (added) known->second = texts->Intern(Demangle(texts->Get(frame.system_name)));
      frame.name = known->second;
    }
  }
}

}  // namespace

std::vector<std::vector<Frame>> Symbolizer::State::Resolve(
    const elf::Module& module, const std::string& key, const std::vector<std::uint64_t>& addresses,
    StringTable* texts) {
  std::vector<std::vector<Frame>> frames(addresses.size());
  MemoryBudget budget(memory_cap);
  WorkBudget work(kMinWork);
  const DebugFiles files = OpenDebugFiles(module, debug_root, &budget);
  if (files.main == nullptr) {
    Count(key, &stats.modules_unreadable);
    return frames;
  }
  std::vector<std::string> names(addresses.size());
  FindNames(files, addresses, &work, &names);
  const DwarfResult result =
      ReadDwarf(files, addresses, Padding(files, names), &budget, &work, texts, &frames);
  if (result == DwarfResult::kDamaged || work.exhausted()) Count(key, &stats.modules_unreadable);
  if (result == DwarfResult::kOverBudget) Count(key, &stats.over_memory_cap);
  SetOutermostNames(names, texts, &frames);
  DemangleNames(texts, &frames);
  return frames;
}

Symbolizer::Symbolizer(std::size_t memory_cap, std::string debug_root) noexcept
    : state_(new (std::nothrow) State(memory_cap, std::move(debug_root))) {}

Symbolizer::~Symbolizer() { delete state_; }

Symbols Symbolizer::Symbolize(const elf::Module& module,
                              const std::vector<std::uint64_t>& pcs) noexcept {
  Symbols symbols;
  try {
    symbols.frames.resize(pcs.size());
    if (state_ == nullptr) return symbols;
    const std::string key = KeyOf(module);
    StringTable texts;
    std::vector<std::uint64_t> offsets;
    offsets.reserve(pcs.size());
    for (const std::uint64_t pc : pcs) offsets.push_back(pc - module.bias);
    const auto missing = state_->cache.Find(key, offsets, &texts, &symbols.frames);
    if (!missing.empty()) {
      std::vector<std::uint64_t> unknown;
      unknown.reserve(missing.size());
      for (const std::size_t i : missing) unknown.push_back(offsets[i]);
      std::sort(unknown.begin(), unknown.end());
      unknown.erase(std::unique(unknown.begin(), unknown.end()), unknown.end());
      const auto answers = state_->Resolve(module, key, unknown, &texts);
      state_->cache.Add(key, unknown, texts, answers);
      for (const std::size_t i : missing) {
        const auto at = std::lower_bound(unknown.begin(), unknown.end(), offsets[i]);
        symbols.frames[i] = answers[static_cast<std::size_t>(at - unknown.begin())];
      }
    }
    symbols.strings = texts.TakeStrings();
  } catch (...) {  // out of memory: names are the least of the host's worries
    for (std::vector<Frame>& frames : symbols.frames) frames.clear();
  }
  return symbols;
}

SymbolizerStats Symbolizer::stats() const noexcept {
  if (state_ == nullptr) return {};
  SymbolizerStats stats = state_->stats;
  stats.cache_bytes = state_->cache.bytes();
  return stats;
}

}  // namespace pprof::symbolize
