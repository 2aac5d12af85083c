#include "src/pprof/symbolize/function_names.h"

#include <dwarf.h>

#include <algorithm>

namespace pprof::symbolize {
namespace {

constexpr int kMaxHops = 8;    // inside one unit
constexpr int kMaxRounds = 4;  // from unit to unit

struct Collect {
  DwarfFile* file = nullptr;
  FunctionName* function = nullptr;
  DieRef next;
  bool has_next = false;
};

// Takes what the function does not have yet: what stands nearer to the code wins.
int CollectAttribute(Dwarf_Attribute* attribute, void* data) {
  auto* collect = static_cast<Collect*>(data);
  FunctionName* function = collect->function;
  switch (dwarf_whatattr(attribute)) {
    case DW_AT_name:
      if (function->name.empty()) function->name = collect->file->StringOf(attribute);
      break;
    case DW_AT_linkage_name:
    case DW_AT_MIPS_linkage_name:
      if (function->linkage_name.empty())
        function->linkage_name = collect->file->StringOf(attribute);
      break;
    case DW_AT_decl_line: {
      Dwarf_Word line = 0;
      if (function->start_line == 0 && dwarf_formudata(attribute, &line) == 0)
        function->start_line = static_cast<std::uint32_t>(line);
      break;
    }
    case DW_AT_abstract_origin:
    case DW_AT_specification:
      if (!collect->has_next) collect->has_next = collect->file->RefOf(attribute, &collect->next);
      break;
    default:
      break;
  }
  return DWARF_CB_OK;
}

std::uint64_t KeyOf(const DieRef& ref) { return ref.offset * 2 + (ref.alt ? 1 : 0); }

}  // namespace

std::size_t FunctionNames::Add(Dwarf_Die* die) {
  DieRef key{false, main_->OffsetOf(die)};
  Dwarf_Attribute attribute = {};
  if (dwarf_tag(die) == DW_TAG_inlined_subroutine &&
      dwarf_attr(die, DW_AT_abstract_origin, &attribute) != nullptr)
    main_->RefOf(&attribute, &key);
  const auto [entry, added] = numbers_.emplace(KeyOf(key), functions_.size());
  if (!added) return entry->second;
  functions_.emplace_back();
  Follow(main_, die, entry->second);
  return entry->second;
}

void FunctionNames::Follow(DwarfFile* file, Dwarf_Die* start, std::size_t function) {
  Dwarf_Die die = *start;
  for (int hop = 0; hop < kMaxHops; ++hop) {
    Collect collect{file, &functions_[function], {}, false};
    if (dwarf_getattrs(&die, CollectAttribute, &collect, 0) < 0) return;
    const FunctionName& found = functions_[function];
    const bool complete = !found.linkage_name.empty() && found.start_line != 0;
    if (complete || !collect.has_next) return;
    const bool same_file = collect.next.alt == (file == alt_);
    if (same_file && file->LocalDie(collect.next.offset, &die)) continue;
    pending_.push_back({function, collect.next});
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
      Dwarf_Die die = {};
      if (file != nullptr && file->LoadDie(pending.next.offset, &die))
        Follow(file, &die, pending.function);
    }
  }
  pending_.clear();
}

}  // namespace pprof::symbolize
