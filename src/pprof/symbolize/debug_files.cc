#include "src/pprof/symbolize/debug_files.h"

#include <elf.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "src/pprof/symbolize/byte_reader.h"

namespace pprof::symbolize {
namespace {

constexpr std::uint64_t kMaxLink = 64u << 10;
constexpr std::uint64_t kMaxPackedMini = 32u << 20;

std::vector<std::uint8_t> SectionBytes(const ElfFile& file, const char* name, std::uint64_t max) {
  const ElfSection* section = file.Find(name);
  std::vector<std::uint8_t> bytes;
  if (section == nullptr || section->size > max) return bytes;
  bytes.resize(static_cast<std::size_t>(section->size));
  if (!file.source().Read(section->offset, bytes.data(), bytes.size())) bytes.clear();
  return bytes;
}

std::string DirectoryOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash + 1);
}

// The path that the file really has: links such as /lib -> usr/lib do not exist below the debug
// root.
std::string RealPath(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  std::string result = resolved != nullptr ? resolved : path;
  std::free(resolved);
  return result;
}

std::string BuildIdPath(const std::string& debug_root, const std::string& build_id) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string path = debug_root + "/.build-id/";
  for (std::size_t i = 0; i < build_id.size(); ++i) {
    const auto byte = static_cast<unsigned char>(build_id[i]);
    if (i == 1) path += '/';
    path += kHex[byte >> 4];
    path += kHex[byte & 15];
  }
  return path + ".debug";
}

bool HasDwarf(const ElfFile& file) { return file.FindDebug("info") != nullptr; }

// The module's own file, or nullptr if what lies there now is not what was loaded.
std::unique_ptr<ElfFile> OpenMain(const elf::Module& module) {
  if (module.open_path.empty()) {
    constexpr std::uint64_t kPage = 4096;  // sections may lie behind the last segment's end
    const std::uint64_t limit = (module.image_limit + kPage - 1) & ~(kPage - 1);
    return ElfFile::Open(ByteSource::OpenOwnMemory(module.image_start, limit));
  }
  std::unique_ptr<ElfFile> file = ElfFile::Open(ByteSource::OpenFile(module.open_path));
  if (file == nullptr) return nullptr;
  if (!module.build_id.empty())
    return file->build_id() == module.build_id ? std::move(file) : nullptr;
  const bool known = module.device != 0 || module.inode != 0;
  const bool same =
      file->source().device() == module.device && file->source().inode() == module.inode;
  return !known || same ? std::move(file) : nullptr;
}

// A separate debug file must have the module's build id; where either has none, the checksum of the
// whole file must be the one in .gnu_debuglink.
bool Matches(const ElfFile& main, const ElfFile& candidate, const std::uint32_t* wanted_crc) {
  if (!main.build_id().empty() && !candidate.build_id().empty())
    return main.build_id() == candidate.build_id();
  if (!main.build_id().empty() || wanted_crc == nullptr) return false;
  std::uint32_t crc = 0;
  return candidate.source().Crc32(&crc) && crc == *wanted_crc;
}

std::unique_ptr<ElfFile> OpenByLink(const ElfFile& main, const std::string& path,
                                    const std::string& debug_root) {
  const std::vector<std::uint8_t> bytes = SectionBytes(main, ".gnu_debuglink", kMaxLink);
  ByteReader link(bytes.data(), bytes.size());
  const std::string name(link.String());
  link.Skip((4 - (name.size() + 1) % 4) % 4);
  const std::uint32_t crc = link.U32();
  if (!link.ok() || name.empty() || name.find('/') != std::string::npos) return nullptr;
  const std::string directory = DirectoryOf(RealPath(path));
  for (const std::string& folder : {directory, directory + ".debug/", debug_root + directory}) {
    const std::string candidate = folder + name;
    std::unique_ptr<ElfFile> file = ElfFile::Open(ByteSource::OpenFile(candidate));
    if (file != nullptr && Matches(main, *file, &crc)) return file;
  }
  return nullptr;
}

std::unique_ptr<ElfFile> OpenByBuildId(const ElfFile& main, const std::string& debug_root) {
  if (main.build_id().size() < 2) return nullptr;
  auto file = ElfFile::Open(ByteSource::OpenFile(BuildIdPath(debug_root, main.build_id())));
  return file != nullptr && Matches(main, *file, nullptr) ? std::move(file) : nullptr;
}

// The file that `dwarf` shares pieces with: its path, absolute or beside the file, then its build
// id.
std::unique_ptr<ElfFile> OpenAlt(const ElfFile& dwarf, const std::vector<std::string>& directories,
                                 const std::string& debug_root) {
  const std::vector<std::uint8_t> bytes = SectionBytes(dwarf, ".gnu_debugaltlink", kMaxLink);
  ByteReader link(bytes.data(), bytes.size());
  const std::string name(link.String());
  if (!link.ok() || name.empty() || link.left() < 2) return nullptr;
  const std::string build_id(reinterpret_cast<const char*>(link.position()), link.left());
  std::vector<std::string> candidates;
  if (name[0] == '/')
    candidates.push_back(name);
  else
    for (const std::string& directory : directories) candidates.push_back(directory + name);
  candidates.push_back(BuildIdPath(debug_root, build_id));
  for (const std::string& candidate : candidates) {
    std::unique_ptr<ElfFile> file = ElfFile::Open(ByteSource::OpenFile(candidate));
    if (file != nullptr && file->build_id() == build_id) return file;
  }
  return nullptr;
}

std::unique_ptr<ElfFile> OpenMini(const ElfFile& main, MemoryBudget* budget) {
  const ElfSection* packed = main.Find(".gnu_debugdata");
  if (packed == nullptr || packed->size > kMaxPackedMini) return nullptr;
  base::LargeVector<std::uint8_t> bytes =
      UnpackXz(main.source(), packed->offset, packed->size, budget->left() / 2);
  if (bytes.empty() || !budget->Take(bytes.size())) return nullptr;
  return ElfFile::Open(ByteSource::FromBuffer(std::move(bytes)));
}

}  // namespace

const ElfFile* DebugFiles::dwarf() const {
  for (const ElfFile* file : {main.get(), debug.get()}) {
    if (file != nullptr && HasDwarf(*file)) return file;
  }
  return nullptr;
}

DebugFiles OpenDebugFiles(const elf::Module& module, const std::string& debug_root,
                          MemoryBudget* budget) {
  DebugFiles files;
  files.main = OpenMain(module);
  if (files.main == nullptr) return files;
  const bool has_symbols = files.main->FindType(SHT_SYMTAB) != nullptr;
  const std::string& path = module.open_path.empty() ? module.path : module.open_path;
  if (!module.open_path.empty()) files.directory = DirectoryOf(RealPath(path));
  if (!HasDwarf(*files.main)) {
    files.debug = OpenByBuildId(*files.main, debug_root);
    if (files.debug == nullptr && !module.open_path.empty())
      files.debug = OpenByLink(*files.main, path, debug_root);
  }
  if (!has_symbols && (files.debug == nullptr || files.debug->FindType(SHT_SYMTAB) == nullptr))
    files.mini = OpenMini(*files.main, budget);
  if (const ElfFile* dwarf = files.dwarf()) {
    // A debug file found by build id is reached by a symbolic link in some distributions, and its
    // relative link to the shared file counts from where it really lies.
    const std::string by_id = RealPath(BuildIdPath(debug_root, files.main->build_id()));
    const std::string own = DirectoryOf(RealPath(path));
    files.alt =
        OpenAlt(*dwarf, {own, DirectoryOf(by_id), own + ".debug/", debug_root + own}, debug_root);
  }
  return files;
}

}  // namespace pprof::symbolize
