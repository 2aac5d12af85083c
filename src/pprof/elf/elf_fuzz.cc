// Arbitrary bytes as the PT_NOTE segment of a module.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "src/pprof/elf/byte_reader.h"
#include "src/pprof/elf/notes.h"

namespace {

// Every reading function, chosen by the input itself; the position never leaves the bytes.
void ReadAnything(const std::uint8_t* data, std::size_t size) {
  pprof::elf::ByteReader reader(data, data + size);
  while (!reader.empty()) {
    const std::size_t before = reader.left();
    switch (reader.U8() % 8) {
      case 0:
        reader.Uleb();
        break;
      case 1:
        reader.Sleb();
        break;
      case 2:
        reader.CString();
        break;
      case 3:
        reader.Skip(reader.U8());
        break;
      case 4:
        reader.Take(reader.Uleb()).U32();
        break;
      case 5:
        reader.U16();
        break;
      case 6:
        reader.U32();
        break;
      default:
        reader.U64();
        break;
    }
    if (reader.left() >= before || reader.left() > size) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (pprof::elf::FindBuildId(data, size).size() > 64) std::abort();
  ReadAnything(data, size);
  return 0;
}
