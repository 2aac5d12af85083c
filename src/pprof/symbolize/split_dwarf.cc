#include "src/pprof/symbolize/split_dwarf.h"

#include <utility>

#include "src/pprof/symbolize/dwarf_constants.h"

namespace pprof::symbolize {

DwoLink DwoLinkOf(DwarfFile* file, const Die& unit) {
  DwoLink link;
  link.id = file->header().dwo_id;
  FormValue name;
  file->ForEachAttribute(unit, [&](unsigned attribute, const FormValue& value) {
    if (attribute == DW_AT_dwo_name || attribute == DW_AT_GNU_dwo_name) name = value;
    if (attribute == DW_AT_GNU_dwo_id) link.id = value.number;
    return true;
  });
  link.name = file->StringOf(name);
  return link;
}

std::unique_ptr<ElfFile> OpenDwo(const DwoLink& link, const std::string& directory,
                                 const std::string& beside) {
  const bool absolute = !link.name.empty() && link.name[0] == '/';
  const std::string first = absolute ? link.name : directory + "/" + link.name;
  const std::string base = link.name.substr(link.name.rfind('/') + 1);
  for (const std::string& path : {first, beside + link.name, beside + base}) {
    if (path.empty() || path[0] != '/') continue;  // nothing is looked for where the process runs
    if (auto file = ElfFile::Open(ByteSource::OpenFile(path))) return file;
  }
  return nullptr;
}

}  // namespace pprof::symbolize
