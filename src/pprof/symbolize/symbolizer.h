// Addresses to functions, files, lines and inlined frames. Reads ELF and DWARF of the files on
// disk, never the network; a file whose build id differs from the loaded module's gives no names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/pprof/elf/module.h"

namespace pprof::symbolize {

// One function that was executing at an address. Strings are ids in Symbols::strings; 0 is the
// empty string.
struct Frame {
  std::uint32_t name = 0;         // demangled
  std::uint32_t system_name = 0;  // as in the symbol table or DW_AT_linkage_name
  std::uint32_t filename = 0;     // absolute where DWARF allows it; empty: not known
  std::uint32_t line = 0;         // 1-based; 0: not known
  std::uint32_t start_line = 0;   // of the function's declaration; 0: not known
};

// The answer for one module, parallel to the addresses asked for.
struct Symbols {
  std::deque<std::string> strings{""};
  std::vector<std::vector<Frame>> frames;  // innermost first; empty: not even a name
};

struct SymbolizerStats {
  // File gone, replaced (build id differs) or broken; .dwo file of a unit gone.
  std::uint64_t modules_unreadable = 0;
  std::uint64_t over_memory_cap =
      0;  // modules whose lines or inlined frames were left out for lack of memory
  std::size_t cache_bytes = 0;
};

// Not thread-safe: one caller at a time. Not async-signal-safe. Nothing throws.
class Symbolizer {
 public:
  // What a module's DWARF may take while it is read; beyond it names come from the symbol table
  // alone, counted.
  static constexpr std::size_t kDefaultMemoryCap = 64u << 20;

  // `debug_root`: where separate debug files lie; another place only in tests.
  explicit Symbolizer(std::size_t memory_cap = kDefaultMemoryCap,
                      std::string debug_root = "/usr/lib/debug") noexcept;
  ~Symbolizer();
  Symbolizer(const Symbolizer&) = delete;
  Symbolizer& operator=(const Symbolizer&) = delete;

  // `pcs` are run-time addresses inside `module` (callers already point into their call
  // instruction), in any order. Answers are remembered, keyed by build id (else path, device,
  // inode) and offset; the memory of answers is capped.
  Symbols Symbolize(const elf::Module& module, const std::vector<std::uint64_t>& pcs) noexcept;

  SymbolizerStats stats() const noexcept;

 private:
  struct State;
  State* state_;
};

}  // namespace pprof::symbolize
