#include "src/pprof/symbolize/string_table.h"

namespace pprof::symbolize {
namespace {

// What a node of a hash table and its bucket take beyond the payload, about.
constexpr std::size_t kNode = 64;

}  // namespace

std::uint32_t StringTable::Intern(std::string_view text) {
  const auto found = ids_.find(text);
  if (found != ids_.end()) return found->second;
  const auto id = static_cast<std::uint32_t>(strings_.size());
  strings_.emplace_back(text);
  try {
    ids_.emplace(strings_.back(), id);
  } catch (...) {
    strings_.pop_back();
    throw;
  }
  bytes_ += text.size() + sizeof(std::string) + kNode;
  return id;
}

}  // namespace pprof::symbolize
