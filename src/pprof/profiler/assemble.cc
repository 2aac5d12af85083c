#include "src/pprof/profiler/assemble.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "src/pprof/labels/label_data.h"

namespace pprof::profiler {
namespace {

using profile::Label;
using profile::Line;
using profile::Location;
using profile::Profile;
using profile::StringId;

std::string Hex(const void* bytes, std::size_t size) {
  static const char kDigits[] = "0123456789abcdef";
  const auto* at = static_cast<const unsigned char*>(bytes);
  std::string text(2 * size, '0');
  for (std::size_t i = 0; i < size; ++i) {
    text[2 * i] = kDigits[at[i] >> 4];
    text[2 * i + 1] = kDigits[at[i] & 15];
  }
  return text;
}

// One window's way into a Profile. A module is one object of a ModuleList; the same module in lists
// of several versions is the same object, so its pointer is its identity.
class Assembler {
 public:
  Assembler(const sampler::Window& window, symbolize::Symbolizer& symbolizer)
      : window_(window), symbolizer_(symbolizer) {}

  Profile Run() {
    profile_.period_ns = window_.period_ns;
    profile_.time_ns = window_.wall_start_ns;
    profile_.duration_ns = static_cast<std::int64_t>(window_.end_ns - window_.start_ns);
    CollectAddresses();
    AddMappings();
    for (auto& [module, addresses] : addresses_) AddLocations(module, addresses);
    AddSamples();
    AddSpecials();
    profile_.ResolveMappingFlags();
    AddComments();
    return std::move(profile_);
  }

 private:
  using Key = std::pair<const elf::Module*, std::uint64_t>;
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return std::hash<const void*>()(key.first) ^ (key.second * 0x9e3779b97f4a7c15u);
    }
  };

  const elf::Module* FindModule(std::uint64_t version, std::uint64_t pc) const {
    const auto list = window_.modules.find(version);
    return list == window_.modules.end() ? nullptr : list->second->Find(pc);
  }

  void CollectAddresses() {
    window_.aggregate.ForEach(
        [&](const sampler::StackView& stack, const sampler::ContextView&, std::uint64_t) {
          const auto [known, fresh] = stacks_.try_emplace(stack.pcs);
          if (!fresh) return;  // with span ids a stack has many samples
          known->second.reserve(stack.count);
          for (std::uint32_t i = 0; i < stack.count; ++i) {
            const std::uint64_t pc = stack.pcs[i];
            const elf::Module* module = FindModule(stack.module_version, pc);
            const auto [place, first] =
                places_.try_emplace(Key{module, pc}, static_cast<std::uint32_t>(places_.size()));
            if (first) addresses_[module].push_back(pc);
            known->second.push_back(place->second);
          }
        });
    locations_.resize(places_.size());
  }

  // The main binary first, as pprof wants it; then by address.
  void AddMappings() {
    std::vector<const elf::Module*> modules;
    for (const auto& [version, list] : window_.modules) {
      for (const auto& module : list->modules) {
        if (module->main || addresses_.count(module.get()) > 0) modules.push_back(module.get());
      }
    }
    std::sort(modules.begin(), modules.end(), [](const elf::Module* a, const elf::Module* b) {
      return std::make_tuple(!a->main, a->start, a) < std::make_tuple(!b->main, b->start, b);
    });
    modules.erase(std::unique(modules.begin(), modules.end()), modules.end());
    for (const elf::Module* module : modules) {
      mapping_ids_.emplace(module, static_cast<std::int32_t>(profile_.mappings.size()));
      profile::Mapping mapping;
      mapping.memory_start = module->start;
      mapping.memory_limit = module->limit;
      mapping.file_offset = module->file_offset;
      mapping.filename = profile_.Intern(module->path);
      mapping.build_id = profile_.Intern(Hex(module->build_id.data(), module->build_id.size()));
      profile_.mappings.push_back(mapping);
    }
  }

  void AddLocations(const elf::Module* module, std::vector<std::uint64_t>& addresses) {
    std::sort(addresses.begin(), addresses.end());
    symbolize::Symbols symbols;
    if (module != nullptr) symbols = symbolizer_.Symbolize(*module, addresses);
    symbols.frames.resize(addresses.size());  // without a module, or if it failed: no names
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      locations_[places_.at({module, addresses[i]})] =
          static_cast<std::uint32_t>(profile_.locations.size());
      Location location;
      location.mapping = module == nullptr ? -1 : mapping_ids_.at(module);
      location.address = addresses[i];
      for (const symbolize::Frame& frame : symbols.frames[i]) {
        location.lines.push_back(AddLine(symbols, frame));
      }
      profile_.locations.push_back(std::move(location));
    }
  }

  Line AddLine(const symbolize::Symbols& symbols, const symbolize::Frame& frame) {
    profile::Function function;
    function.name = profile_.Intern(symbols.strings[frame.name]);
    function.system_name = profile_.Intern(symbols.strings[frame.system_name]);
    function.filename = profile_.Intern(symbols.strings[frame.filename]);
    function.start_line = frame.start_line;
    return {profile_.AddFunction(function), frame.line};
  }

  void AddSamples() {
    window_.aggregate.ForEach([&](const sampler::StackView& stack,
                                  const sampler::ContextView& context, std::uint64_t weight) {
      profile::Sample sample;
      sample.count = static_cast<std::int64_t>(weight);
      sample.locations.reserve(stack.count + 1);
      for (const std::uint32_t place : stacks_.at(stack.pcs)) {
        sample.locations.push_back(locations_[place]);
      }
      if (stack.exit_correction) {
        sample.locations.push_back(
            NamedLocation(sampler::SpecialFrameName(sampler::Special::kExitCorrection)));
      }
      if (stack.truncated) sample.locations.push_back(NamedLocation("[truncated]"));
      sample.labels = MakeLabels(context);
      profile_.samples.push_back(std::move(sample));
    });
  }

  std::vector<Label> MakeLabels(const sampler::ContextView& context) {
    std::vector<Label> labels;
    labels.reserve(4);
    const auto add = [&](std::string_view key, std::string_view value) {
      labels.push_back({profile_.Intern(key), profile_.Intern(value)});
    };
    if (context.has_span_id) add("span_id", Hex(context.span_id, sizeof context.span_id));
    if (context.has_trace_id) add("trace_id", Hex(context.trace_id, sizeof context.trace_id));
    if (context.has_span_name) add("span_name", context.span_name);
    internal::ForEachLabel(context.label_words, context.label_bytes, add);
    return labels;
  }

  std::uint32_t NamedLocation(std::string_view name) {
    const StringId id = profile_.Intern(name);
    const auto known = named_locations_.find(id);
    if (known != named_locations_.end()) return known->second;
    const auto location = static_cast<std::uint32_t>(profile_.locations.size());
    profile::Function function;
    function.name = function.system_name = id;
    Location named;
    named.lines.push_back({profile_.AddFunction(function), 0});
    profile_.locations.push_back(std::move(named));
    named_locations_.emplace(id, location);
    return location;
  }

  void AddSpecials() {
    for (int i = 0; i < static_cast<int>(sampler::Special::kCount); ++i) {
      const auto special = static_cast<sampler::Special>(i);
      const std::uint64_t weight = window_.aggregate.special(special);
      if (weight == 0) continue;
      profile::Sample sample;
      sample.count = static_cast<std::int64_t>(weight);
      sample.locations.push_back(NamedLocation(sampler::SpecialFrameName(special)));
      profile_.samples.push_back(std::move(sample));
    }
  }

  // The check that anybody can do: what the profile holds beside what the kernel's clock says.
  void AddComments() {
    std::int64_t samples = 0;
    for (const profile::Sample& sample : profile_.samples) samples += sample.count;
    char text[256];
    std::snprintf(text, sizeof text,
                  "process CPU clock over the window: %lld ns, of that the profiler's own threads: "
                  "%llu ns, in this profile: %lld ns",
                  static_cast<long long>(window_.process_cpu_ns),
                  static_cast<unsigned long long>(window_.library_cpu_ns),
                  static_cast<long long>(samples) * window_.period_ns);
    profile_.comments.push_back(profile_.Intern(text));
  }

  const sampler::Window& window_;
  symbolize::Symbolizer& symbolizer_;
  Profile profile_;
  // A place is an address in a module, numbered as they come; its location follows when all are
  // known.
  std::unordered_map<Key, std::uint32_t, KeyHash> places_;
  std::vector<std::uint32_t> locations_;  // by place
  // By StackView::pcs: places, leaf first.
  std::unordered_map<const std::uint64_t*, std::vector<std::uint32_t>> stacks_;
  std::map<const elf::Module*, std::vector<std::uint64_t>> addresses_;
  std::map<const elf::Module*, std::int32_t> mapping_ids_;
  std::unordered_map<StringId, std::uint32_t> named_locations_;
};

}  // namespace

profile::Profile Assemble(const sampler::Window& window, symbolize::Symbolizer& symbolizer) {
  return Assembler(window, symbolizer).Run();
}

}  // namespace pprof::profiler
