#include "src/pprof/unwind/loaded_objects.h"

#include <link.h>

#include <cstring>

namespace pprof::unwind {
namespace {

void CopySegment(const ElfW(Phdr) & header, LoadedObject& object) {
  const std::uint64_t address = object.bias + header.p_vaddr;
  if (header.p_type == PT_LOAD && object.segment_count < LoadedObject::kMaxSegments) {
    object.segments[object.segment_count++] = {address, header.p_memsz, header.p_offset,
                                               (header.p_flags & PF_X) != 0};
  } else if (header.p_type == PT_GNU_EH_FRAME) {
    object.eh_frame_header = address;
    object.eh_frame_header_size = header.p_memsz;
  } else if (header.p_type == PT_NOTE && object.note_count < 4) {
    object.notes[object.note_count] = address;
    object.note_sizes[object.note_count++] = header.p_memsz;
  }
}

void CopyObject(const dl_phdr_info& info, LoadedObject& object) {
  const char* name = info.dlpi_name == nullptr ? "" : info.dlpi_name;
  const std::size_t size = strnlen(name, LoadedObject::kMaxPath - 1);
  std::memcpy(object.path, name, size);
  object.path[size] = '\0';
  object.bias = info.dlpi_addr;
  object.segment_count = object.note_count = 0;
  object.eh_frame_header = object.eh_frame_header_size = 0;
  for (int i = 0; i < info.dlpi_phnum; ++i) CopySegment(info.dlpi_phdr[i], object);
}

struct Walk {
  std::vector<LoadedObject>* objects;
  std::size_t seen;
  LoaderCounters counters;
};

int OnObject(dl_phdr_info* info, std::size_t, void* argument) {
  auto& walk = *static_cast<Walk*>(argument);
  walk.counters = {info->dlpi_adds, info->dlpi_subs};
  if (walk.seen < walk.objects->size()) CopyObject(*info, (*walk.objects)[walk.seen]);
  ++walk.seen;
  return 0;
}

}  // namespace

LoaderCounters ReadLoaderCounters() noexcept {
  LoaderCounters counters;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* argument) {
        *static_cast<LoaderCounters*>(argument) = {info->dlpi_adds, info->dlpi_subs};
        return 1;
      },
      &counters);
  return counters;
}

LoaderCounters ReadLoadedObjects(std::vector<LoadedObject>* objects) {
  objects->resize(64);
  for (;;) {
    Walk walk = {objects, 0, {}};
    dl_iterate_phdr(OnObject, &walk);
    const bool fits = walk.seen <= objects->size();
    objects->resize(walk.seen);  // after more were loaded meanwhile: once again with room for all
    if (fits) return walk.counters;
  }
}

}  // namespace pprof::unwind
