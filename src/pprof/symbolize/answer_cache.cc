#include "src/pprof/symbolize/answer_cache.h"

#include <utility>

namespace pprof::symbolize {
namespace {

// What a node of a hash table and its bucket take beyond the payload, about.
constexpr std::size_t kNode = 64;
constexpr std::size_t kNodeOfAnswer = kNode + sizeof(std::vector<Frame>);

// Carries frames from one table of texts to another; each text is looked up once.
class Translator {
 public:
  Translator(const StringTable& from, StringTable* to) : from_(from), to_(to) {}

  std::vector<Frame> operator()(const std::vector<Frame>& frames) {
    std::vector<Frame> result = frames;
    for (Frame& frame : result) {
      for (std::uint32_t* text : {&frame.name, &frame.system_name, &frame.filename})
        *text = Translate(*text);
    }
    return result;
  }

 private:
  std::uint32_t Translate(std::uint32_t text) {
    const auto [entry, added] = known_.emplace(text, 0);
    if (added) entry->second = to_->Intern(from_.Get(text));
    return entry->second;
  }

  const StringTable& from_;
  StringTable* to_;
  std::unordered_map<std::uint32_t, std::uint32_t> known_;
};

}  // namespace

std::vector<std::size_t> AnswerCache::Find(const std::string& key,
                                           const std::vector<std::uint64_t>& offsets,
                                           StringTable* out,
                                           std::vector<std::vector<Frame>>* frames) {
  std::vector<std::size_t> missing(offsets.size());
  for (std::size_t i = 0; i < missing.size(); ++i) missing[i] = i;
  std::vector<std::uint64_t> aging;  // answers of the old generation become young again
  std::vector<std::vector<Frame>> aged;
  for (Generation* generation : {&young_, &old_}) {
    const auto module = generation->modules.find(key);
    if (module == generation->modules.end()) continue;
    Translator translate(generation->texts, out);
    std::vector<std::size_t> still;
    for (const std::size_t i : missing) {
      const auto answer = module->second.find(offsets[i]);
      if (answer == module->second.end()) {
        still.push_back(i);
        continue;
      }
      (*frames)[i] = translate(answer->second);
      if (generation != &old_) continue;
      aging.push_back(offsets[i]);
      aged.push_back((*frames)[i]);
    }
    missing.swap(still);
  }
  if (!aging.empty()) Add(key, aging, *out, aged);
  return missing;
}

void AnswerCache::Add(const std::string& key, const std::vector<std::uint64_t>& offsets,
                      const StringTable& texts, const std::vector<std::vector<Frame>>& answers) {
  for (std::size_t next = 0; next < offsets.size();) {
    if (bytes_of_young() > max_bytes_ / 2) {
      old_ = std::move(young_);
      young_ = Generation();
    }
    Module& module = young_.modules[key];
    if (module.empty()) young_.bytes += key.size() + 2 * kNode;
    Translator translate(texts, &young_.texts);
    for (; next < offsets.size() && bytes_of_young() <= max_bytes_ / 2; ++next) {
      const std::vector<Frame>& frames = answers[next];
      module[offsets[next]] = translate(frames);
      young_.bytes += frames.size() * sizeof(Frame) + kNodeOfAnswer;
    }
  }
}

std::size_t AnswerCache::bytes_of_young() const { return young_.bytes + young_.texts.bytes(); }

std::size_t AnswerCache::bytes() const {
  return bytes_of_young() + old_.bytes + old_.texts.bytes();
}

}  // namespace pprof::symbolize
