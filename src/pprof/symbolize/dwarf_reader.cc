#include "src/pprof/symbolize/dwarf_reader.h"

#include <string>
#include <unordered_map>

#include "src/pprof/symbolize/dwarf_constants.h"
#include "src/pprof/symbolize/dwarf_file.h"
#include "src/pprof/symbolize/function_names.h"
#include "src/pprof/symbolize/line_table.h"
#include "src/pprof/symbolize/split_dwarf.h"
#include "src/pprof/symbolize/unit_walk.h"

namespace pprof::symbolize {
namespace {

constexpr std::uint32_t kNoFunction = ~std::uint32_t{0};

class Reader {
 public:
  Reader(const DebugFiles& files, DwarfFile* main, DwarfFile* alt,
         const std::vector<std::uint64_t>& addresses, const std::vector<bool>& padding,
         MemoryBudget* budget, StringTable* texts, std::vector<std::vector<Frame>>* frames)
      : files_(files),
        main_(main),
        names_(main, alt, budget),
        addresses_(addresses),
        padding_(padding),
        budget_(budget),
        texts_(texts),
        frames_(frames) {}

  void ReadUnit(const UnitAddresses& wanted) {
    Die unit;
    if (main_->work()->exhausted() || !main_->Load(wanted.unit, &unit)) return;
    std::vector<std::uint64_t> addresses;
    for (const std::size_t index : wanted.indices) addresses.push_back(addresses_[index]);
    directory_ = main_->StringOf(main_->Attribute(unit, DW_AT_comp_dir));
    const std::vector<LineRow> rows = ReadLines(unit, addresses);
    path_ids_.clear();
    const DwoLink link = DwoLinkOf(main_, unit);
    if (!link.name.empty() && ReadSplitUnit(link, wanted.indices, addresses, rows)) return;
    AddFrames(main_, unit, wanted.indices, addresses, rows, &names_);
    open_.insert(open_.end(), wanted.indices.begin(), wanted.indices.end());
  }

  void Finish() { SetNames(&names_, open_); }
  bool incomplete() const { return incomplete_; }

 private:
  // False: without its .dwo file the unit has lines alone.
  bool ReadSplitUnit(const DwoLink& link, const std::vector<std::size_t>& indices,
                     const std::vector<std::uint64_t>& addresses,
                     const std::vector<LineRow>& rows) {
    const auto file = OpenDwo(link, directory_, files_.directory);
    DwarfFile split;
    Die unit;
    MemoryBudget budget(budget_->left());  // taken only until the file is closed
    if (file == nullptr || !split.OpenSplit(*file, main_, link.id, &budget, &unit)) {
      incomplete_ = true;
      return false;
    }
    FunctionNames names(&split, nullptr, budget_);
    AddFrames(&split, unit, indices, addresses, rows, &names);
    SetNames(&names, indices);
    return true;
  }

  // Until here the frames have numbers of functions in place of names.
  void SetNames(FunctionNames* names, const std::vector<std::size_t>& indices) {
    names->Finish();
    std::vector<std::uint32_t> ids(names->size());
    for (std::size_t i = 0; i < ids.size(); ++i)
      ids[i] = texts_->Intern(names->Get(i).system_name());
    for (const std::size_t index : indices) {
      for (Frame& frame : (*frames_)[index]) {
        const std::uint32_t number = frame.system_name;
        frame.system_name = number != kNoFunction ? ids[number] : 0;
        frame.start_line = number != kNoFunction ? names->Get(number).start_line : 0;
      }
    }
  }

  std::vector<LineRow> ReadLines(const Die& unit, const std::vector<std::uint64_t>& addresses) {
    const FormValue lines = main_->Attribute(unit, DW_AT_stmt_list);
    lines_ = LineTable();
    if (!lines || !lines_.Open(main_, lines.number, directory_, budget_->left() / 2))
      return std::vector<LineRow>(addresses.size());
    return lines_.Rows(addresses);
  }

  std::uint32_t PathId(std::uint64_t file) {
    const auto [entry, added] = path_ids_.emplace(file, 0);
    if (!added) return entry->second;
    const std::string path = lines_.Path(file);
    if (budget_->Take(path.size())) entry->second = texts_->Intern(path);
    return entry->second;
  }

  // `unit` is the DIE of the unit that `file` has loaded.
  void AddFrames(DwarfFile* file, const Die& unit, const std::vector<std::size_t>& indices,
                 const std::vector<std::uint64_t>& addresses, const std::vector<LineRow>& rows,
                 FunctionNames* names) {
    std::vector<bool> padding(indices.size());
    for (std::size_t i = 0; i < indices.size(); ++i) padding[i] = padding_[indices[i]];
    const std::vector<Chain> chains = WalkUnit(file, unit, addresses, padding, budget_);
    if (budget_->exceeded()) return;
    for (std::size_t i = 0; i < chains.size(); ++i)
      AddChain(file, chains[i], rows[i], names, &(*frames_)[indices[i]]);
  }

  // From the innermost function outwards: the line of each is where the one inside it was called.
  void AddChain(DwarfFile* file, const Chain& chain, const LineRow& row, FunctionNames* names,
                std::vector<Frame>* frames) {
    if (!budget_->Take((chain.size() + 1) * sizeof(Frame))) return;
    Frame frame;
    frame.system_name = kNoFunction;
    frame.filename = row.found ? PathId(row.file) : 0;
    frame.line = row.line;
    if (chain.empty() && row.found) frames->push_back(frame);
    for (auto entry = chain.rbegin(); entry != chain.rend(); ++entry) {
      frame.system_name = static_cast<std::uint32_t>(names->Add(entry->die));
      frames->push_back(frame);
      std::uint64_t call_file = 0, call_line = 0;
      file->ForEachAttribute(entry->die, [&](unsigned name, const FormValue& value) {
        if (name == DW_AT_call_file) call_file = value.number;
        if (name == DW_AT_call_line) call_line = value.number;
        return true;
      });
      frame.filename = PathId(call_file);
      frame.line = static_cast<std::uint32_t>(call_line);
    }
  }

  const DebugFiles& files_;
  DwarfFile* main_;
  FunctionNames names_;
  const std::vector<std::uint64_t>& addresses_;
  const std::vector<bool>& padding_;
  MemoryBudget* budget_;
  StringTable* texts_;
  std::vector<std::vector<Frame>>* frames_;
  std::vector<std::size_t> open_;  // indices of frames whose names wait for names_
  bool incomplete_ = false;        // a .dwo file is missing
  // Of the unit being read.
  std::string directory_;
  LineTable lines_;
  std::unordered_map<std::uint64_t, std::uint32_t> path_ids_;  // by file number
};

}  // namespace

DwarfResult ReadDwarf(const DebugFiles& files, const std::vector<std::uint64_t>& addresses,
                      const std::vector<bool>& padding, MemoryBudget* budget, WorkBudget* work,
                      StringTable* texts, std::vector<std::vector<Frame>>* frames) {
  const ElfFile* elf = files.dwarf();
  if (elf == nullptr) return DwarfResult::kNone;
  DwarfFile main, alt;
  DwarfFile* used_alt = nullptr;
  if (files.alt != nullptr && alt.Open(*files.alt, nullptr, true, budget, work)) used_alt = &alt;
  if (!budget->exceeded() && main.Open(*elf, used_alt, false, budget, work)) {
    Reader reader(files, &main, used_alt, addresses, padding, budget, texts, frames);
    for (const UnitAddresses& unit : main.Assign(addresses)) reader.ReadUnit(unit);
    reader.Finish();
    const bool damaged = work->exhausted() || reader.incomplete();
    if (!budget->exceeded()) return damaged ? DwarfResult::kDamaged : DwarfResult::kRead;
  }
  return budget->exceeded() ? DwarfResult::kOverBudget : DwarfResult::kDamaged;
}

}  // namespace pprof::symbolize
