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

// Equal for the same file only.
std::string KeyOf(const elf::Module& module) {
  if (!module.build_id.empty()) return "id:" + module.build_id;
  return "path:" + std::to_string(module.device) + ":" + std::to_string(module.inode) + ":" +
         module.path;
}

void FindNames(const DebugFiles& files, const std::vector<std::uint64_t>& addresses,
               std::vector<std::string>* names) {
  for (const ElfFile* file : {files.main.get(), files.debug.get(), files.mini.get()}) {
    if (file != nullptr) FindSymbols(*file, SHT_SYMTAB, addresses, names);
  }
  FindSymbols(*files.main, SHT_DYNSYM, addresses, names);
  FindPltStubs(*files.main, addresses, names);
}

}  // namespace

struct Symbolizer::State {
  State(std::size_t cap, std::string root) : memory_cap(cap), debug_root(std::move(root)) {}

  // Answers for addresses that the cache does not have: sorted, unique, as in the file.
  std::vector<std::vector<ResolvedFrame>> Resolve(const elf::Module& module, const std::string& key,
                                                  const std::vector<std::uint64_t>& addresses);
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

std::vector<std::vector<ResolvedFrame>> Symbolizer::State::Resolve(
    const elf::Module& module, const std::string& key,
    const std::vector<std::uint64_t>& addresses) {
  std::vector<std::vector<ResolvedFrame>> frames(addresses.size());
  MemoryBudget budget(memory_cap);
  const DebugFiles files = OpenDebugFiles(module, debug_root, &budget);
  if (files.main == nullptr) {
    Count(key, &stats.modules_unreadable);
    return frames;
  }
  std::vector<std::string> names(addresses.size());
  FindNames(files, addresses, &names);
  const DwarfResult result = ReadDwarf(files, addresses, &budget, &frames);
  if (result == DwarfResult::kDamaged) Count(key, &stats.modules_unreadable);
  if (result == DwarfResult::kOverBudget) Count(key, &stats.over_memory_cap);
  // The symbol table knows the outermost function better: clones have their suffix only there.
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    std::vector<ResolvedFrame>& found = frames[i];
    if (!names[i].empty()) {
      if (found.empty()) found.emplace_back();
      found.back().system_name = std::move(names[i]);
    }
    // Padding between functions has a line at times, and no name: nothing to show.
    const auto nameless = [](const ResolvedFrame& frame) { return frame.system_name.empty(); };
    found.erase(std::remove_if(found.begin(), found.end(), nameless), found.end());
  }
  return frames;
}

Symbolizer::Symbolizer(std::size_t memory_cap, std::string debug_root) noexcept
    : state_(new (std::nothrow) State(memory_cap, std::move(debug_root))) {}

Symbolizer::~Symbolizer() { delete state_; }

namespace {

// Demangling is the dearest step: `demangled` has the names by number of the mangled ones.
std::vector<Frame> Intern(const std::vector<ResolvedFrame>& resolved, StringTable* texts,
                          std::unordered_map<std::uint32_t, std::uint32_t>* demangled) {
  std::vector<Frame> frames;
  for (const ResolvedFrame& from : resolved) {
    Frame frame;
    frame.system_name = texts->Intern(from.system_name);
    const auto [known, added] = demangled->emplace(frame.system_name, 0);
    if (added) known->second = texts->Intern(Demangle(from.system_name));
    frame.name = known->second;
    frame.filename = texts->Intern(from.file);
    frame.line = from.line;
    frame.start_line = from.start_line;
    frames.push_back(frame);
  }
  return frames;
}

}  // namespace

Symbols Symbolizer::Symbolize(const elf::Module& module,
                              const std::vector<std::uint64_t>& pcs) noexcept {
  Symbols symbols;
  try {
    symbols.frames.resize(pcs.size());
    if (state_ == nullptr) return symbols;
    const std::string key = KeyOf(module);
    StringTable texts;
    std::vector<std::uint64_t> unknown;
    std::vector<std::size_t> waiting;  // indices of pcs
    for (std::size_t i = 0; i < pcs.size(); ++i) {
      if (state_->cache.Find(key, pcs[i] - module.bias, &texts, &symbols.frames[i])) continue;
      unknown.push_back(pcs[i] - module.bias);
      waiting.push_back(i);
    }
    std::sort(unknown.begin(), unknown.end());
    unknown.erase(std::unique(unknown.begin(), unknown.end()), unknown.end());
    if (!unknown.empty()) {
      const auto resolved = state_->Resolve(module, key, unknown);
      std::vector<std::vector<Frame>> answers;
      std::unordered_map<std::uint32_t, std::uint32_t> demangled;
      for (std::size_t i = 0; i < unknown.size(); ++i) {
        answers.push_back(Intern(resolved[i], &texts, &demangled));
        state_->cache.Add(key, unknown[i], texts, answers.back());
      }
      for (const std::size_t i : waiting) {
        const auto at = std::lower_bound(unknown.begin(), unknown.end(), pcs[i] - module.bias);
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
