#include "src/pprof/symbolize/unit_walk.h"

#include <dwarf.h>

#include <algorithm>

namespace pprof::symbolize {
namespace {

constexpr unsigned kMaxDepth = 200;     // of DIEs: what compilers write stays far below
constexpr std::size_t kMaxChain = 256;  // inlined functions at one address

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
  Walker(const std::vector<std::uint64_t>& addresses, WorkBudget* work)
      : addresses_(addresses), work_(work), chains_(addresses.size()) {}

  // everything: also into types and functions elsewhere; GCC puts the bodies of some lambdas there.
  void Run(Dwarf_Die* unit, bool everything) {
    everything_ = everything;
    for (Chain& chain : chains_) chain.clear();
    Children(unit, 1);
  }
  bool complete() const {
    return std::none_of(chains_.begin(), chains_.end(), [](const Chain& c) { return c.empty(); });
  }
  std::vector<Chain> TakeChains() { return std::move(chains_); }

 private:
  void Children(Dwarf_Die* parent, unsigned depth) {
    Dwarf_Die die = {};
    if (depth > kMaxDepth || dwarf_child(parent, &die) != 0) return;
    do {
      if (!work_->Step()) return;
      const int tag = dwarf_tag(&die);
      bool enter = HoldsFunctions(tag);
      if (IsFunction(tag)) enter = Enter(&die, tag, depth);
      if (enter || (everything_ && dwarf_haschildren(&die) > 0)) Children(&die, depth + 1);
    } while (dwarf_siblingof(&die, &die) == 0);
  }

  // Adds the function to the chains of the addresses that it covers; false if there are none.
  bool Enter(Dwarf_Die* die, int tag, unsigned depth) {
    bool hit = false;
    Dwarf_Addr base = 0, start = 0, limit = 0;
    for (std::ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &start, &limit)) > 0;) {
      if (!work_->Step()) return false;
      if (start >= limit) continue;
      const auto first = std::lower_bound(addresses_.begin(), addresses_.end(), start);
      for (auto i = static_cast<std::size_t>(first - addresses_.begin());
           i < addresses_.size() && addresses_[i] < limit; ++i) {
        hit = true;
        if (!work_->Step()) return false;
        Add(&chains_[i], *die, tag, depth);
      }
    }
    return hit;
  }

  static void Add(Chain* chain, const Dwarf_Die& die, int tag, unsigned depth) {
    if (tag == DW_TAG_subprogram) chain->clear();
    while (!chain->empty() && chain->back().depth >= depth) chain->pop_back();
    if (chain->size() < kMaxChain) chain->push_back({die, depth});
  }

  const std::vector<std::uint64_t>& addresses_;
  WorkBudget* work_;
  std::vector<Chain> chains_;
  bool everything_ = false;
};

}  // namespace

std::vector<Chain> WalkUnit(Dwarf_Die* unit, const std::vector<std::uint64_t>& addresses,
                            WorkBudget* work) {
  Walker walker(addresses, work);
  walker.Run(unit, false);
  if (!walker.complete()) walker.Run(unit, true);
  return walker.TakeChains();
}

}  // namespace pprof::symbolize
