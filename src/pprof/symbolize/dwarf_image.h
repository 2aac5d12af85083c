// What libdw gets to see: an ELF image of our own making in anonymous memory, with the few sections
// that walking DIEs needs and, in .debug_info, one unit at a time (or the heads of many). So libdw
// opens no file, maps none, asks no debuginfod server, meets no header that we did not write, and
// what it allocates is freed unit by unit: a file with gigabytes of DWARF is read in the memory of
// its largest unit. Strings, line tables and references between units are read outside of libdw
// (DwarfFile, LineTable). Used by DwarfFile.
#pragma once

#include <elfutils/libdw.h>
#include <libelf.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "src/pprof/symbolize/section_data.h"

namespace pprof::symbolize {

// Not async-signal-safe. One thread at a time.
class DwarfImage {
 public:
  // In this order: .debug_abbrev, .debug_addr, .debug_ranges, .debug_rnglists.
  static constexpr std::size_t kFixedSections = 4;

  DwarfImage() = default;
  ~DwarfImage();
  DwarfImage(const DwarfImage&) = delete;
  DwarfImage& operator=(const DwarfImage&) = delete;

  // Copies the fixed sections and reserves `window_size` bytes for .debug_info. False if memory or
  // budget do not suffice or a section cannot be read.
  bool Create(const std::array<const SectionData*, kFixedSections>& fixed, std::size_t window_size,
              MemoryBudget* budget);

  // Where .debug_info goes. Writing there ends what Open() gave: call Close() first.
  std::uint8_t* window() { return window_; }
  const std::uint8_t* window() const { return window_; }
  std::size_t window_size() const { return window_size_; }

  // libdw over the first `info_size` bytes of the window; nullptr on failure. Owned by the image.
  Dwarf* Open(std::size_t info_size);
  void Close();

 private:
  void WriteHeaders();

  std::uint8_t* memory_ = nullptr;
  std::size_t size_ = 0;
  std::uint8_t* window_ = nullptr;
  std::size_t window_size_ = 0;
  std::size_t used_ = 0;  // bytes of the window that the last Open() showed
  std::array<std::size_t, kFixedSections> offsets_{};
  std::array<std::size_t, kFixedSections> sizes_{};
  Elf* elf_ = nullptr;
  Dwarf* dwarf_ = nullptr;
};

}  // namespace pprof::symbolize
