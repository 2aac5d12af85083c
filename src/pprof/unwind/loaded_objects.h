// What dl_iterate_phdr says, copied out: the loader's lock is held during its callback, so nothing
// there may allocate, lock or read files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pprof::unwind {

struct LoadedObject {
  static constexpr std::size_t kMaxPath = 1024;
  static constexpr int kMaxSegments = 16;

  struct Segment {
    std::uint64_t start, size, file_offset;  // run-time address
    bool executable;
  };

  char path[kMaxPath];
  std::uint64_t bias;
  Segment segments[kMaxSegments];  // PT_LOAD
  int segment_count;
  std::uint64_t eh_frame_header, eh_frame_header_size;  // PT_GNU_EH_FRAME; 0: none
  std::uint64_t notes[4], note_sizes[4];                // PT_NOTE
  int note_count;
};

struct LoaderCounters {
  std::uint64_t adds = 0;
  std::uint64_t subs = 0;
  bool operator==(const LoaderCounters& other) const {
    return adds == other.adds && subs == other.subs;
  }
};

// Objects ever loaded and unloaded. One callback; cheap. Not async-signal-safe.
LoaderCounters ReadLoaderCounters() noexcept;

// All loaded objects, and the counters of that moment. May throw std::bad_alloc (outside the
// callback).
LoaderCounters ReadLoadedObjects(std::vector<LoadedObject>* objects);

}  // namespace pprof::unwind
