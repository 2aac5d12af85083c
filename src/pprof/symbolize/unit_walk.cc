#include "src/pprof/symbolize/unit_walk.h"

#include <algorithm>

#include "src/pprof/symbolize/dwarf_constants.h"

namespace pprof::symbolize {
namespace {

constexpr std::size_t kMaxChain = 256;  // inlined functions at one address
constexpr unsigned kNever = ~0u;

bool IsFunction(int tag) { return tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine; }

// DIEs other than functions that can hold functions with code. clang puts half of all functions
// into namespaces.
bool HoldsFunctions(int tag) {
  switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_lexical_block:
    case DW_TAG_try_block:
    case DW_TAG_catch_block:
    case DW_TAG_with_stmt:
    case DW_TAG_common_block:
      return true;
    default:
      return false;
  }
}

class Walker {
 public:
  Walker(DwarfFile* file, const std::vector<std::uint64_t>& addresses, MemoryBudget* budget)
      : file_(file),
        addresses_(addresses),
        budget_(budget),
        room_(budget->left() / 2),
        chains_(addresses.size()) {}

  // everything: also into types and functions elsewhere; GCC puts the bodies of some lambdas there.
  void Run(const Die& unit, bool everything) {
    everything_ = everything;
    depth_ = 1;
    skip_below_ = kNever;
    for (Chain& chain : chains_) chain.clear();
    ByteReader reader = file_->BytesAt(unit.attributes);
    if (!unit.abbreviation->has_children || !file_->SkipAttributes(unit, &reader)) return;
    while (depth_ > 0 && file_->work()->Step() && Visit(&reader)) {
    }
  }
  bool Misses(const std::vector<bool>& padding) const {
    for (std::size_t i = 0; i < chains_.size(); ++i) {
      if (chains_[i].empty() && !padding[i]) return true;
    }
    return false;
  }
  std::vector<Chain> TakeChains() { return std::move(chains_); }

 private:
  // One DIE; false: damaged.
  bool Visit(ByteReader* reader) {
    Die die;
    if (!file_->ReadDie(reader, &die)) return false;
    if (die.abbreviation == nullptr) {
      if (--depth_ <= skip_below_) skip_below_ = kNever;
      return true;
    }
    const Abbreviation& abbreviation = *die.abbreviation;
    bool enter = false;
    if (skip_below_ == kNever) {
      enter = everything_ || HoldsFunctions(abbreviation.tag);
      if (IsFunction(abbreviation.tag) && abbreviation.has_code) enter |= Enter(die);
    }
    if (!abbreviation.has_children) return file_->SkipAttributes(die, reader);
    if (!enter && abbreviation.has_sibling && JumpToSibling(die, reader)) return true;
    if (!enter && skip_below_ == kNever) skip_below_ = depth_;
    ++depth_;
    return file_->SkipAttributes(die, reader);
  }

  bool JumpToSibling(const Die& die, ByteReader* reader) const {
    DieRef sibling;
    if (!file_->RefOf(file_->Attribute(die, DW_AT_sibling), &sibling)) return false;
    const std::uint64_t here = file_->OffsetOf(die);
    if (sibling.offset <= here) return false;  // would go round in circles
    *reader = file_->BytesAt(die.offset + (sibling.offset - here));
    return true;
  }

  // Adds the function to the chains of the addresses that it covers; false if there are none.
  bool Enter(const Die& die) {
    bool hit = false;
    RangeCursor cursor = file_->StartRanges(file_->ExtentOf(die));
    for (std::uint64_t start = 0, limit = 0; file_->NextRange(&cursor, &start, &limit);) {
      const auto first = std::lower_bound(addresses_.begin(), addresses_.end(), start);
      for (auto i = static_cast<std::size_t>(first - addresses_.begin());
           i < addresses_.size() && addresses_[i] < limit; ++i) {
        hit = true;
        if (!file_->work()->Step()) return false;
        Add(&chains_[i], die);
      }
    }
    return hit;
  }

  void Add(Chain* chain, const Die& die) {
    if (die.abbreviation->tag == DW_TAG_subprogram) chain->clear();
    while (!chain->empty() && chain->back().depth >= depth_) chain->pop_back();
    if (chain->size() >= kMaxChain) return;
    if (chain->size() == chain->capacity() && !Grow(chain)) return;
    chain->push_back({die, depth_});
  }

  // Chains may take half of what is left: what is made of them needs room as well.
  bool Grow(Chain* chain) {
    const std::size_t more = std::max<std::size_t>(chain->capacity(), 2);
    const std::size_t bytes = more * sizeof(ChainEntry);
    if (bytes > room_) return budget_->Take(budget_->left() + std::uint64_t{1});
    if (!budget_->Take(bytes)) return false;
    room_ -= bytes;
    chain->reserve(chain->capacity() + more);
    return true;
  }

  DwarfFile* file_;
  const std::vector<std::uint64_t>& addresses_;
  MemoryBudget* budget_;
  std::size_t room_;  // in bytes
  std::vector<Chain> chains_;
  unsigned depth_ = 1;
  unsigned skip_below_ = kNever;  // children of the DIE at this depth are passed over
  bool everything_ = false;
};

}  // namespace

std::vector<Chain> WalkUnit(DwarfFile* file, const Die& unit,
                            const std::vector<std::uint64_t>& addresses,
                            const std::vector<bool>& padding, MemoryBudget* budget) {
  Walker walker(file, addresses, budget);
  walker.Run(unit, false);
  if (walker.Misses(padding)) walker.Run(unit, true);
  return walker.TakeChains();
}

}  // namespace pprof::symbolize
