// Looking up rules and probing memory: what the walks of all architectures share. Only their .cc
// files include this. In an unnamed namespace, so that the compiler weighs what to inline as it
// does for a function of that file.
#pragma once

#include <sys/syscall.h>

#include <algorithm>
#include <cstdint>

#include "src/pprof/handler/rules.h"
#include "src/pprof/handler/syscall.h"
#include "src/pprof/handler/unwind_table.h"

// NOLINTBEGIN(misc-definitions-in-headers): see above

namespace pprof::handler {
namespace {

constexpr std::uintptr_t kCacheLine = 64;

const UnwindModule* FindModule(const UnwindTable& table, std::uintptr_t pc) {
  std::uint32_t low = 0;
  std::uint32_t high = table.module_count;
  while (low < high) {
    const std::uint32_t middle = (low + high) / 2;
    if (table.modules[middle].limit <= pc) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == table.module_count || pc < table.modules[low].start) return nullptr;
  return &table.modules[low];
}

// Asks for the cache lines of [from, to), within reason. Inlined, since g++ 12 takes a function
// that only prefetches for one without effect and leaves out the calls.
[[gnu::always_inline]] inline void Prefetch(const void* from, const void* to) {
  constexpr std::uintptr_t kMost = 2048;
  const auto start = reinterpret_cast<std::uintptr_t>(from) & ~(kCacheLine - 1);
  const auto end = std::min(reinterpret_cast<std::uintptr_t>(to), start + kMost);
  for (std::uintptr_t line = start; line < end; line += kCacheLine) {
    __builtin_prefetch(reinterpret_cast<const void*>(line));
  }
}

// The last row at or below an offset from the module's base; kEnd when there is none.
std::uint32_t FindRule(const UnwindRow* rows, std::uint32_t low, std::uint32_t high,
                       std::uint32_t offset) {
  while (low < high) {
    const std::uint32_t middle = (low + high) / 2;
    if (rows[middle].pc <= offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low == 0 ? PackSpecial(kEnd) : rows[low - 1].rule;
}

std::uint32_t FindRule(const UnwindModule& module, std::uintptr_t pc) {
  const auto offset = static_cast<std::uint32_t>(pc - module.base);
  const std::uint32_t page = offset >> kUnwindPageShift;
  if (page >= module.page_count) return PackSpecial(kEnd);
  const std::uint32_t low = module.pages[page];
  const std::uint32_t high = module.pages[page + 1];
  Prefetch(module.rows + low, module.rows + high);
  return FindRule(module.rows, low, high, offset);
}

// Which rule holds where: in what the thread remembers, in the table's cache, in the table.
class RuleSearch {
 public:
  RuleSearch(const UnwindTable* table, ThreadRules* rules)
      : table_(table), rules_(table == nullptr ? nullptr : rules) {
    if (rules_ != nullptr) rules_->Begin(*table);
  }

  const UnwindModule* Module(std::uintptr_t pc) const {
    return table_ == nullptr ? nullptr : FindModule(*table_, pc);
  }

  // Where code was interrupted: seldom seen twice, so only its module is remembered.
  [[gnu::noinline]] std::uint32_t Leaf(std::uintptr_t pc) {
    if (rules_ == nullptr) return Anywhere(pc);
    UnwindModule& module = rules_->module;
    if (pc < module.start || pc >= module.limit) {
      const UnwindModule* const found = FindModule(*table_, pc);
      if (found == nullptr) return PackSpecial(kEnd);
      module = *found;
    }
    return FindRule(module, pc);
  }

  // Where a function was called.
  [[gnu::always_inline]] std::uint32_t Caller(std::uintptr_t pc) {
    const std::uint32_t known = rules_ == nullptr ? 0 : rules_->Find(pc);
    return known != 0 ? known : NewCaller(pc);
  }

  // Remembers nothing.
  std::uint32_t Anywhere(std::uintptr_t pc) {
    if (module_ == nullptr || pc < module_->start || pc >= module_->limit) {
      module_ = Module(pc);
      if (module_ == nullptr) return PackSpecial(kEnd);
    }
    return FindRule(*module_, pc);
  }

 private:
  [[gnu::noinline]] std::uint32_t NewCaller(std::uintptr_t pc) {
    const std::uint32_t rule = Cached(pc);
    if (rules_ != nullptr) rules_->Remember(pc, rule);
    return rule;
  }

  std::uint32_t Cached(std::uintptr_t pc) {
    if (table_ == nullptr || table_->cache == nullptr) return Anywhere(pc);
    CachedRule cached;
    if (table_->cache->Find(pc, &cached)) {
      const UnwindModule& module = table_->modules[cached.module];
      if (module.base + cached.offset == pc) {
        module_ = &module;
        return cached.rule;
      }
    }
    const std::uint32_t rule = Anywhere(pc);
    if (module_ != nullptr) {
      table_->cache->Remember({static_cast<std::uint32_t>(module_ - table_->modules),
                               static_cast<std::uint32_t>(pc - module_->base), rule});
    }
    return rule;
  }

  const UnwindTable* table_;
  ThreadRules* rules_;
  const UnwindModule* module_ = nullptr;  // of the last lookup: callers are mostly in the same one
};

// Asks the kernel whether it can read a signal set at `address`: it copies the set first (EFAULT),
// then refuses the invalid `how` (EINVAL). Any other answer is a filter's, which did not look.
[[gnu::noinline, gnu::cold]] bool Readable(std::uintptr_t address) {
  constexpr long kInvalidHow = 0x7f;
  constexpr long kEinval = 22;
  return RawSyscall4(SYS_rt_sigprocmask, kInvalidHow, static_cast<long>(address), 0, 8) == -kEinval;
}

}  // namespace
}  // namespace pprof::handler

// NOLINTEND(misc-definitions-in-headers)
