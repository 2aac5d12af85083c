#include "src/pprof/symbolize/answer_cache.h"

#include <utility>

namespace pprof::symbolize {
namespace {

// What a node of a hash table and its bucket take beyond the payload, about.
constexpr std::size_t kNode = 64;

std::vector<Frame> Translate(const std::vector<Frame>& frames, const StringTable& from,
                             StringTable* to) {
  std::vector<Frame> result = frames;
  for (Frame& frame : result) {
    frame.name = to->Intern(from.Get(frame.name));
    frame.system_name = to->Intern(from.Get(frame.system_name));
    frame.filename = to->Intern(from.Get(frame.filename));
  }
  return result;
}

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

bool AnswerCache::Find(const std::string& key, std::uint64_t offset, StringTable* out,
                       std::vector<Frame>* frames) {
  for (Generation* generation : {&young_, &old_}) {
    const auto module = generation->modules.find(key);
    if (module == generation->modules.end()) continue;
    const auto answer = module->second.find(offset);
    if (answer == module->second.end()) continue;
    *frames = Translate(answer->second, generation->texts, out);
    if (generation == &old_) Add(key, offset, *out, *frames);
    return true;
  }
  return false;
}

void AnswerCache::Add(const std::string& key, std::uint64_t offset, const StringTable& texts,
                      const std::vector<Frame>& frames) {
  if (young_.bytes + young_.texts.bytes() > max_bytes_ / 2) {
    old_ = std::move(young_);
    young_ = Generation();
  }
  auto& module = young_.modules[key];
  if (module.empty()) young_.bytes += key.size() + 2 * kNode;
  module[offset] = Translate(frames, texts, &young_.texts);
  young_.bytes += frames.size() * sizeof(Frame) + sizeof(frames) + kNode;
}

std::size_t AnswerCache::bytes() const {
  return young_.bytes + young_.texts.bytes() + old_.bytes + old_.texts.bytes();
}

}  // namespace pprof::symbolize
