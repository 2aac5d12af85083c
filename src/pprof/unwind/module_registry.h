// Keeps the handler's unwind tables in step with the loaded modules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "src/pprof/elf/module.h"

namespace pprof::unwind {

struct RegistryStats {
  std::uint64_t modules_loaded = 0;      // ever seen
  std::uint64_t modules_unreadable = 0;  // ELF or .eh_frame broken: that module goes without rows
  std::size_t table_bytes = 0;           // now, retired tables included
};

// One instance a process, leaked. Refresh, ReclaimRetired and stats: one thread at a time (the
// caller locks). Current: any thread. Not async-signal-safe.
class ModuleRegistry {
 public:
  ModuleRegistry();
  ~ModuleRegistry() = delete;  // the handler may be reading

  // Compares dlpi_adds/dlpi_subs; on a change reads the new modules, builds their tables and
  // publishes a new handler::g_unwind_table. Returns true if a new table was published. Never
  // allocates or locks inside the dl_iterate_phdr callback. force: look at all modules whatever the
  // counters say.
  bool Refresh(bool force = false) noexcept;

  // The modules as of the last Refresh; never nullptr. A new version exists exactly when a module
  // was *unloaded*; modules that were only added appear in a list of the same version.
  std::shared_ptr<const elf::ModuleList> Current() const noexcept;

  // True while old tables wait to be freed. ReclaimRetired frees those that were retired before the
  // caller's last proof that no handler was running: call it only right after such a proof that
  // began after the Refresh.
  bool has_retired() const noexcept;
  void ReclaimRetired() noexcept;

  RegistryStats stats() const noexcept;

 private:
  struct State;
  State* state_;
};

}  // namespace pprof::unwind
