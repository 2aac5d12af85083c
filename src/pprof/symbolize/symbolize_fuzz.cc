// The bytes are a file on disk: the module itself and, by its own links, whatever it claims. Asks
// for addresses all over its sections of code. Nothing may crash, hang or grow beyond the cap.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "src/pprof/symbolize/byte_source.h"
#include "src/pprof/symbolize/elf_file.h"
#include "src/pprof/symbolize/function_names.h"
#include "src/pprof/symbolize/split_dwarf.h"
#include "src/pprof/symbolize/symbolizer.h"
#include "src/pprof/symbolize/unit_walk.h"

using pprof::symbolize::ByteSource;
using pprof::symbolize::ElfFile;

namespace {

// The same bytes as the .dwo file of their own first unit that was split off.
void ReadAsSplit(const ElfFile& file, const std::vector<std::uint64_t>& pcs) {
  using namespace pprof::symbolize;
  WorkBudget work(1 << 20);
  MemoryBudget budget(8u << 20);
  DwarfFile skeleton, split;
  Die unit, split_unit;
  if (!skeleton.Open(file, nullptr, false, &budget, &work) || !skeleton.Load(0, &unit)) return;
  const DwoLink link = DwoLinkOf(&skeleton, unit);
  if (!split.OpenSplit(file, &skeleton, link.id, &budget, &split_unit)) return;
  FunctionNames names(&split, nullptr, &budget);
  for (const Chain& chain :
       WalkUnit(&split, split_unit, pcs, std::vector<bool>(pcs.size()), &budget)) {
    for (const ChainEntry& entry : chain) names.Add(entry.die);
  }
  names.Finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const int fd = memfd_create("symbolize_fuzz", MFD_CLOEXEC);
  if (fd < 0 || write(fd, data, size) != static_cast<ssize_t>(size)) std::abort();
  pprof::elf::Module module;
  module.path = module.open_path = "/proc/self/fd/" + std::to_string(fd);
  std::vector<std::uint64_t> pcs = {0, 0x1000, ~std::uint64_t{0}};
  const auto file = ElfFile::Open(ByteSource::FromBuffer({data, data + size}));
  for (std::size_t i = 0; file != nullptr && i < file->sections().size() && pcs.size() < 64; ++i) {
    const auto& section = file->sections()[i];
    if (!file->IsCode(section.address)) continue;
    for (std::uint64_t at = 0; at < 16; ++at)
      pcs.push_back(section.address + at * section.size / 16);
  }
  if (file != nullptr) module.build_id = file->build_id();
  pprof::symbolize::Symbolizer symbolizer(8u << 20, "/nonexistent");
  const pprof::symbolize::Symbols symbols = symbolizer.Symbolize(module, pcs);
  if (symbols.frames.size() != pcs.size()) std::abort();
  for (const auto& frames : symbols.frames) {
    for (const auto& frame : frames) {
      if (symbols.strings.at(frame.name).size() > 4096) std::abort();
      if (frame.filename >= symbols.strings.size()) std::abort();
    }
  }
  if (file != nullptr) {
    std::sort(pcs.begin(), pcs.end());
    ReadAsSplit(*file, pcs);
  }
  close(fd);
  return 0;
}
