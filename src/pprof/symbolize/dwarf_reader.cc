#include "src/pprof/symbolize/dwarf_reader.h"

#include <string>
#include <unordered_map>

#include "src/pprof/symbolize/dwarf_constants.h"
#include "src/pprof/symbolize/dwarf_file.h"
#include "src/pprof/symbolize/function_names.h"
#include "src/pprof/symbolize/line_table.h"
#include "src/pprof/symbolize/unit_walk.h"

namespace pprof::symbolize {
namespace {

constexpr std::uint32_t kNoFunction = ~std::uint32_t{0};

class Reader {
 public:
  Reader(DwarfFile* main, DwarfFile* alt, const std::vector<std::uint64_t>& addresses,
         const std::vector<bool>& padding, MemoryBudget* budget, StringTable* texts,
         std::vector<std::vector<Frame>>* frames)
      : main_(main),
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
    std::vector<bool> padding;
    for (const std::size_t index : wanted.indices) {
      addresses.push_back(addresses_[index]);
      padding.push_back(padding_[index]);
    }
    const std::vector<Chain> chains = WalkUnit(main_, unit, addresses, padding);
    const std::vector<LineRow> rows = ReadLines(unit, addresses);
    path_ids_.clear();
    for (std::size_t i = 0; i < chains.size(); ++i)
      AddFrames(chains[i], rows[i], &(*frames_)[wanted.indices[i]]);
  }

  // Until here the frames have numbers of functions in place of names.
  void Finish() {
    names_.Finish();
    std::vector<std::uint32_t> ids(names_.size());
    for (std::size_t i = 0; i < ids.size(); ++i)
      ids[i] = texts_->Intern(names_.Get(i).system_name());
    for (std::vector<Frame>& frames : *frames_) {
      for (Frame& frame : frames) {
        if (frame.system_name != kNoFunction)
          frame.start_line = names_.Get(frame.system_name).start_line;
        frame.system_name = frame.system_name != kNoFunction ? ids[frame.system_name] : 0;
      }
    }
  }

 private:
  std::vector<LineRow> ReadLines(const Die& unit, const std::vector<std::uint64_t>& addresses) {
    const std::string directory = main_->StringOf(main_->Attribute(unit, DW_AT_comp_dir));
    const FormValue lines = main_->Attribute(unit, DW_AT_stmt_list);
    lines_ = LineTable();
    if (!lines || !lines_.Open(main_, lines.number, directory, budget_->left() / 2))
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

  // From the innermost function outwards: the line of each is where the one inside it was called.
  void AddFrames(const Chain& chain, const LineRow& row, std::vector<Frame>* frames) {
    if (!budget_->Take((chain.size() + 1) * sizeof(Frame))) return;
    Frame frame;
    frame.system_name = kNoFunction;
    frame.filename = row.found ? PathId(row.file) : 0;
    frame.line = row.line;
    if (chain.empty() && row.found) frames->push_back(frame);
    for (auto entry = chain.rbegin(); entry != chain.rend(); ++entry) {
      frame.system_name = static_cast<std::uint32_t>(names_.Add(entry->die));
      frames->push_back(frame);
      std::uint64_t file = 0, line = 0;
      main_->ForEachAttribute(entry->die, [&](unsigned name, const FormValue& value) {
        if (name == DW_AT_call_file) file = value.number;
        if (name == DW_AT_call_line) line = value.number;
        return true;
      });
      frame.filename = PathId(file);
      frame.line = static_cast<std::uint32_t>(line);
    }
  }

  DwarfFile* main_;
  FunctionNames names_;
  const std::vector<std::uint64_t>& addresses_;
  const std::vector<bool>& padding_;
  MemoryBudget* budget_;
  StringTable* texts_;
  std::vector<std::vector<Frame>>* frames_;
  LineTable lines_;                                            // of the unit being read
  std::unordered_map<std::uint64_t, std::uint32_t> path_ids_;  // by file number of that unit
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
    Reader reader(&main, used_alt, addresses, padding, budget, texts, frames);
    for (const UnitAddresses& unit : main.Assign(addresses)) reader.ReadUnit(unit);
    reader.Finish();
    if (!budget->exceeded()) return work->exhausted() ? DwarfResult::kDamaged : DwarfResult::kRead;
  }
  return budget->exceeded() ? DwarfResult::kOverBudget : DwarfResult::kDamaged;
}

}  // namespace pprof::symbolize
