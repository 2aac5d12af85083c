#include "src/pprof/symbolize/dwarf_reader.h"

#include <dwarf.h>

#include <algorithm>
#include <memory>
#include <unordered_map>

#include "src/pprof/symbolize/dwarf_file.h"
#include "src/pprof/symbolize/function_names.h"
#include "src/pprof/symbolize/line_table.h"
#include "src/pprof/symbolize/unit_walk.h"

namespace pprof::symbolize {
namespace {

constexpr std::uint64_t kMinWork = 4u << 20;

std::uint64_t NumberOf(Dwarf_Die* die, unsigned name) {
  Dwarf_Attribute attribute = {};
  Dwarf_Word value = 0;
  const bool found = dwarf_attr(die, name, &attribute) != nullptr;
  return found && dwarf_formudata(&attribute, &value) == 0 ? value : 0;
}

// A frame whose name is known only when all units are walked.
struct OpenFrame {
  static constexpr std::size_t kNoFunction = ~std::size_t{0};
  std::size_t function = kNoFunction;
  std::uint32_t file = 0;  // index of Reader::paths_
  std::uint32_t line = 0;
};

class Reader {
 public:
  Reader(DwarfFile* main, DwarfFile* alt, const std::vector<std::uint64_t>& addresses,
         MemoryBudget* budget, std::uint64_t work)
      : main_(main), names_(main, alt), addresses_(addresses), budget_(budget), work_(work) {
    open_.resize(addresses.size());
  }

  bool exhausted() const { return work_.exhausted(); }

  void ReadUnit(const UnitAddresses& wanted) {
    Dwarf_Die unit = {};
    if (work_.exhausted() || !main_->Load(wanted.unit, &unit)) return;
    std::vector<std::uint64_t> addresses;
    for (const std::size_t index : wanted.indices) addresses.push_back(addresses_[index]);
    std::vector<Chain> chains = WalkUnit(&unit, addresses, &work_);
    const std::vector<LineRow> rows = ReadLines(&unit, addresses);
    path_ids_.clear();
    for (std::size_t i = 0; i < chains.size(); ++i)
      OpenFrames(&chains[i], rows[i], &open_[wanted.indices[i]]);
  }

  void Finish(std::vector<std::vector<ResolvedFrame>>* frames) {
    names_.Finish();
    for (std::size_t i = 0; i < open_.size(); ++i) {
      for (const OpenFrame& open : open_[i]) {
        ResolvedFrame frame;
        if (open.function != OpenFrame::kNoFunction) {
          frame.system_name = names_.Get(open.function).system_name();
          frame.start_line = names_.Get(open.function).start_line;
        }
        frame.file = paths_[open.file];
        frame.line = open.line;
        (*frames)[i].push_back(std::move(frame));
      }
    }
  }

 private:
  std::vector<LineRow> ReadLines(Dwarf_Die* unit, const std::vector<std::uint64_t>& addresses) {
    Dwarf_Attribute attribute = {};
    std::string directory;
    if (dwarf_attr(unit, DW_AT_comp_dir, &attribute) != nullptr)
      directory = main_->StringOf(&attribute);
    lines_ = LineTable();
    std::uint64_t offset = 0;
    const bool has_lines = dwarf_attr(unit, DW_AT_stmt_list, &attribute) != nullptr &&
                           main_->SectionOffsetOf(&attribute, &offset);
    if (!has_lines || !lines_.Open(main_, offset, std::move(directory), budget_->left()))
      return std::vector<LineRow>(addresses.size());
    return lines_.Rows(addresses);
  }

  std::uint32_t PathId(std::uint64_t file) {
    const auto [entry, added] = path_ids_.emplace(file, 0);
    if (!added) return entry->second;
    std::string path = lines_.Path(file);
    const auto [known, fresh] =
        known_paths_.emplace(path, static_cast<std::uint32_t>(paths_.size()));
    if (fresh) paths_.push_back(std::move(path));
    return entry->second = known->second;
  }

  // From the innermost function outwards: the line of each is where the one inside it was called.
  void OpenFrames(Chain* chain, const LineRow& row, std::vector<OpenFrame>* frames) {
    OpenFrame frame;
    frame.file = row.found ? PathId(row.file) : 0;
    frame.line = row.line;
    if (chain->empty() && row.found) frames->push_back(frame);
    for (auto entry = chain->rbegin(); entry != chain->rend(); ++entry) {
      frame.function = names_.Add(&entry->die);
      frames->push_back(frame);
      frame.file = PathId(NumberOf(&entry->die, DW_AT_call_file));
      frame.line = static_cast<std::uint32_t>(NumberOf(&entry->die, DW_AT_call_line));
    }
  }

  DwarfFile* main_;
  FunctionNames names_;
  const std::vector<std::uint64_t>& addresses_;
  MemoryBudget* budget_;
  WorkBudget work_;
  LineTable lines_;                                            // of the unit being read
  std::unordered_map<std::uint64_t, std::uint32_t> path_ids_;  // by file number of that unit
  std::unordered_map<std::string, std::uint32_t> known_paths_{{"", 0}};
  std::vector<std::string> paths_{""};
  std::vector<std::vector<OpenFrame>> open_;
};

DwarfResult Failure(const MemoryBudget& budget) {
  return budget.exceeded() ? DwarfResult::kOverBudget : DwarfResult::kDamaged;
}

}  // namespace

DwarfResult ReadDwarf(const DebugFiles& files, const std::vector<std::uint64_t>& addresses,
                      MemoryBudget* budget, std::vector<std::vector<ResolvedFrame>>* frames) {
  const ElfFile* elf = files.dwarf();
  if (elf == nullptr) return DwarfResult::kNone;
  DwarfFile main, alt;
  DwarfFile* used_alt = nullptr;
  if (files.alt != nullptr && alt.Open(*files.alt, nullptr, true, budget)) used_alt = &alt;
  if (budget->exceeded()) return DwarfResult::kOverBudget;
  if (!main.Open(*elf, used_alt, false, budget)) return Failure(*budget);
  // Real units take about one step for each 20 bytes of DWARF, twice at most.
  Reader reader(&main, used_alt, addresses, budget, kMinWork + elf->source().size());
  for (const UnitAddresses& unit : main.Assign(addresses)) reader.ReadUnit(unit);
  reader.Finish(frames);
  return reader.exhausted() ? DwarfResult::kDamaged : DwarfResult::kRead;
}

}  // namespace pprof::symbolize
