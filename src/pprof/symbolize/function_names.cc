#include "src/pprof/symbolize/function_names.h"

#include <algorithm>

#include "src/pprof/symbolize/dwarf_constants.h"

namespace pprof::symbolize {
namespace {

constexpr int kMaxHops = 8;    // inside one unit
constexpr int kMaxRounds = 4;  // from unit to unit

std::uint64_t KeyOf(const DieRef& ref) { return ref.offset * 2 + (ref.alt ? 1 : 0); }

}  // namespace

std::size_t FunctionNames::Add(const Die& die) {
  DieRef key{false, main_->OffsetOf(die)};
  if (die.abbreviation->tag == DW_TAG_inlined_subroutine)
    main_->RefOf(main_->Attribute(die, DW_AT_abstract_origin), &key);
  const auto [entry, added] = numbers_.emplace(KeyOf(key), functions_.size());
  if (!added) return entry->second;
  functions_.emplace_back();
  Follow(main_, die, entry->second);
  return entry->second;
}

void FunctionNames::Take(DwarfFile* file, const FormValue& value, std::string* name) {
  if (!name->empty()) return;
  *name = file->StringOf(value);
  if (!budget_->Take(name->size())) name->clear();
}

// Takes what the function does not have yet: what stands nearer to the code wins. True if there is
// a `next` DIE to look at.
bool FunctionNames::Collect(DwarfFile* file, const Die& die, FunctionName* function, DieRef* next) {
  bool has_next = false;
  file->ForEachAttribute(die, [&](unsigned name, const FormValue& value) {
    switch (name) {
      case DW_AT_name:
        Take(file, value, &function->name);
        break;
      case DW_AT_linkage_name:
      case DW_AT_MIPS_linkage_name:
        Take(file, value, &function->linkage_name);
        break;
      case DW_AT_decl_line:
        if (function->start_line == 0)
          function->start_line = static_cast<std::uint32_t>(value.number);
        break;
      case DW_AT_abstract_origin:
      case DW_AT_specification:
        if (!has_next) has_next = file->RefOf(value, next);
        break;
      default:
        break;
    }
    return true;
  });
  return has_next;
}

void FunctionNames::Follow(DwarfFile* file, Die die, std::size_t number) {
  FunctionName* function = &functions_[number];
  for (int hop = 0; hop < kMaxHops; ++hop) {
    DieRef next;
    const bool has_next = Collect(file, die, function, &next);
    const bool complete = !function->linkage_name.empty() && function->start_line != 0;
    if (complete || !has_next) return;
    const bool same_file = next.alt == (file == alt_);
    if (same_file && file->LocalDie(next.offset, &die)) continue;
    pending_.push_back({number, next});
    return;
  }
}

void FunctionNames::Finish() {
  for (int round = 0; round < kMaxRounds && !pending_.empty(); ++round) {
    std::vector<Pending> now;
    now.swap(pending_);
    std::sort(now.begin(), now.end(), [](const Pending& a, const Pending& b) {
      return a.next.alt != b.next.alt ? b.next.alt : a.next.offset < b.next.offset;
    });
    for (const Pending& pending : now) {
      DwarfFile* file = pending.next.alt ? alt_ : main_;
      Die die;
      if (file != nullptr && file->LoadDie(pending.next.offset, &die))
        Follow(file, die, pending.function);
    }
  }
  pending_.clear();
}

}  // namespace pprof::symbolize
