// Names and declaration lines of functions by their DIEs, through abstract_origin and
// specification, also into other units (LTO) and the shared file of dwz. References that leave the
// loaded unit are put off until all units are walked: then each unit that they point into is loaded
// once a round. Used by DwarfReader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/pprof/symbolize/dwarf_file.h"

namespace pprof::symbolize {

struct FunctionName {
  std::string name;          // DW_AT_name
  std::string linkage_name;  // empty: has none (C, local functions)
  std::uint32_t start_line = 0;

  const std::string& system_name() const { return linkage_name.empty() ? name : linkage_name; }
};

// Not async-signal-safe. One thread at a time. The files must outlive it.
class FunctionNames {
 public:
  // Names come out of `budget`; beyond it functions have none.
  FunctionNames(DwarfFile* main, DwarfFile* alt, MemoryBudget* budget)
      : main_(main), alt_(alt), budget_(budget) {}

  // The number of the function that a DIE of the loaded unit of the main file stands for.
  std::size_t Add(const Die& die);
  // Follows what was put off. Loads other units into both files.
  void Finish();
  std::size_t size() const { return functions_.size(); }
  const FunctionName& Get(std::size_t number) const { return functions_[number]; }

 private:
  struct Pending {
    std::size_t function = 0;
    DieRef next;
  };
  void Follow(DwarfFile* file, Die die, std::size_t function);
  bool Collect(DwarfFile* file, const Die& die, FunctionName* function, DieRef* next);
  void Take(DwarfFile* file, const FormValue& value, std::string* name);

  DwarfFile* main_;
  DwarfFile* alt_;
  MemoryBudget* budget_;
  std::vector<FunctionName> functions_;
  // By offset * 2 + (in the shared file): of the abstract origin where there is one, so that all
  // places where a function was inlined share one entry.
  std::unordered_map<std::uint64_t, std::size_t> numbers_;
  std::vector<Pending> pending_;
};

}  // namespace pprof::symbolize
