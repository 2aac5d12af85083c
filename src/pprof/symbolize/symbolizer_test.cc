#include "src/pprof/symbolize/symbolizer.h"

#include <arpa/inet.h>
#include <elf.h>
#include <gtest/gtest.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "src/pprof/symbolize/demangle.h"
#include "src/pprof/symbolize/elf_file.h"

namespace pprof::symbolize {
namespace {

// SYMBOL_FIXTURES: the folder that tests/data/symbols/build_fixtures.sh filled.
std::string Fixture(const std::string& name) { return std::string(SYMBOL_FIXTURES "/") + name; }

elf::Module ModuleOf(const std::string& path) {
  elf::Module module;
  module.path = module.open_path = path;
  if (const auto file = ElfFile::Open(ByteSource::OpenFile(path))) {
    module.build_id = file->build_id();
    module.device = file->source().device();
    module.inode = file->source().inode();
  }
  return module;
}

// Addresses spread over .text, the same at each run.
std::vector<std::uint64_t> RandomCode(const std::string& path, std::size_t count) {
  const auto file = ElfFile::Open(ByteSource::OpenFile(path));
  const ElfSection* text = file->Find(".text");
  std::mt19937_64 random(42);
  std::vector<std::uint64_t> pcs;
  for (std::size_t i = 0; i < count; ++i) pcs.push_back(text->address + random() % text->size);
  return pcs;
}

std::string RunCommand(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  char block[4096];
  for (std::size_t n = 0; pipe != nullptr && (n = fread(block, 1, sizeof block, pipe)) > 0;)
    output.append(block, n);
  if (pipe == nullptr || pclose(pipe) != 0) ADD_FAILURE() << "failed: " << command;
  return output;
}

std::uint64_t AddressOf(const std::string& file, const std::string& symbol) {
  std::istringstream lines(RunCommand("nm " + file));
  std::string address, type, name;
  while (lines >> address >> type >> name) {
    if (name.find(symbol) != std::string::npos) return std::stoull(address, nullptr, 16);
    lines.ignore(4096, '\n');
  }
  ADD_FAILURE() << symbol << " not found in " << file;
  return 0;
}

// name, file:line of each frame, as `llvm-symbolizer --no-demangle` writes them.
using Lines = std::vector<std::string>;

std::vector<Lines> AskLlvm(const std::string& path, const std::vector<std::uint64_t>& pcs) {
  const std::string input = testing::TempDir() + "symbolizer_test_pcs";
  std::ofstream out(input);
  for (const std::uint64_t pc : pcs) out << std::hex << "0x" << pc << "\n";
  out.close();
  std::istringstream text(
      RunCommand(LLVM_SYMBOLIZER " --no-demangle --inlines --obj=" + path + " < " + input));
  std::vector<Lines> answers(1);
  for (std::string line; std::getline(text, line);) {
    if (line.empty()) {
      answers.emplace_back();
      continue;
    }
    if (answers.back().size() % 2 == 1) line.resize(line.rfind(':'));  // the column
    answers.back().push_back(line);
  }
  answers.pop_back();
  return answers;
}

Lines LinesOf(const Symbols& symbols, const std::vector<Frame>& frames) {
  Lines lines;
  for (const Frame& frame : frames) {
    lines.push_back(symbols.strings[frame.system_name]);
    const std::string& file = symbols.strings[frame.filename];
    lines.push_back((file.empty() ? "??" : file) + ":" + std::to_string(frame.line));
  }
  return lines;
}

std::string OutermostName(const Symbols& symbols, std::size_t index) {
  if (symbols.frames[index].empty()) return "";
  return symbols.strings[symbols.frames[index].back().name];
}

// Constructors and destructors share code under two names; which one is shown is a matter of taste.
std::set<std::pair<std::string, std::string>> Aliases(const std::string& path) {
  std::istringstream lines(RunCommand("nm --defined-only " + path));
  std::map<std::string, std::vector<std::string>> by_address;
  std::string address, type, name;
  while (lines >> address >> type >> name) by_address[address].push_back(name);
  std::set<std::pair<std::string, std::string>> aliases;
  for (const auto& [unused, names] : by_address) {
    for (const std::string& a : names)
      for (const std::string& b : names) aliases.emplace(a, b);
  }
  return aliases;
}

struct Case {
  const char* file;       // given to the Symbolizer
  const char* reference;  // given to llvm-symbolizer: the same code with plain debug information
};

class Agreement : public testing::TestWithParam<Case> {};

TEST_P(Agreement, WithLlvmSymbolizer) {
  const std::string reference = Fixture(GetParam().reference);
  const std::vector<std::uint64_t> pcs = RandomCode(reference, 2000);
  const std::vector<Lines> expected = AskLlvm(reference, pcs);
  ASSERT_EQ(expected.size(), pcs.size());
  Symbolizer symbolizer(Symbolizer::kDefaultMemoryCap, Fixture("root"));
  const Symbols symbols = symbolizer.Symbolize(ModuleOf(Fixture(GetParam().file)), pcs);
  const auto aliases = Aliases(reference);
  std::size_t compared = 0, wrong = 0, inlined = 0;
  for (std::size_t i = 0; i < pcs.size(); ++i) {
    // Start-up code has no DWARF; there llvm takes the file from the symbol table.
    if (expected[i][1].find("crtstuff.c") == 0) continue;
    Lines ours = LinesOf(symbols, symbols.frames[i]);
    if (expected[i].front() == "??") {  // padding: llvm may still know a line
      EXPECT_TRUE(ours.empty());
      continue;
    }
    ++compared;
    inlined += ours.size() > 2;
    if (!ours.empty() && ours.size() == expected[i].size() &&
        aliases.count({ours[ours.size() - 2], expected[i][ours.size() - 2]}) > 0)
      ours[ours.size() - 2] = expected[i][ours.size() - 2];
    if (ours == expected[i]) continue;
    if (++wrong <= 3)
      ADD_FAILURE() << std::hex << pcs[i] << "\n"
                    << testing::PrintToString(ours) << "\n"
                    << testing::PrintToString(expected[i]);
  }
  EXPECT_GT(compared, 1500u);
  EXPECT_GT(inlined, 500u);
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(symbolizer.stats().modules_unreadable, 0u);
  EXPECT_EQ(symbolizer.stats().over_memory_cap, 0u);
}

INSTANTIATE_TEST_SUITE_P(Files, Agreement,
                         testing::Values(Case{"gcc5", "gcc5"}, Case{"gcc4", "gcc4"},
                                         Case{"clang5", "clang5"}, Case{"clang4", "clang4"},
                                         Case{"zlib", "gcc5"}, Case{"zdebug", "gcc4"},
                                         Case{"dwz", "gcc5"}, Case{"multi/first", "gcc4"},
                                         Case{"multi/second", "gcc5"}, Case{"linked", "gcc5"},
                                         Case{"stripped", "gcc5"}, Case{"crc", "noid"},
                                         Case{"split/gcc5/program", "split/gcc5/program"},
                                         Case{"split/gcc4/program", "split/gcc4/program"},
                                         Case{"split/clang5/program", "split/clang5/program"},
                                         Case{"split/beside/program", "gcc5"}),
                         [](const auto& tested) {
                           std::string name = tested.param.file;
                           std::replace(name.begin(), name.end(), '/', '_');
                           return name;
                         });

TEST(Symbolizer, NamesHiddenAndLocalFunctionsReadably) {
  for (const char* fixture : {"gcc5", "clang4"}) {
    const std::string file = Fixture(fixture);
    const std::vector<std::uint64_t> pcs = {AddressOf(file, "LocalCount"),
                                            AddressOf(file, "HiddenSort"),
                                            AddressOf(file, "FixtureEntry")};
    Symbolizer symbolizer;
    const Symbols symbols = symbolizer.Symbolize(ModuleOf(file), pcs);
    EXPECT_EQ(OutermostName(symbols, 0).find("LocalCount(std::map<"), 0u)
        << OutermostName(symbols, 0);
    EXPECT_EQ(OutermostName(symbols, 1).find("(anonymous namespace)::HiddenSort("), 0u);
    EXPECT_EQ(OutermostName(symbols, 2), "FixtureEntry");
    EXPECT_EQ(symbols.frames[2].back().start_line, 51u);
  }
}

TEST(Symbolizer, GivesNamesWithoutLinesFromMiniDebugInfo) {
  const std::uint64_t pc = AddressOf(Fixture("gcc5"), "HiddenSort");
  Symbolizer with(Symbolizer::kDefaultMemoryCap, "/nonexistent");
  const Symbols mini = with.Symbolize(ModuleOf(Fixture("mini")), {pc});
  EXPECT_NE(OutermostName(mini, 0).find("HiddenSort"), std::string::npos);
  EXPECT_EQ(mini.frames[0][0].line, 0u);
  Symbolizer without(Symbolizer::kDefaultMemoryCap, "/nonexistent");
  EXPECT_EQ(OutermostName(without.Symbolize(ModuleOf(Fixture("stripped")), {pc}), 0), "");
}

TEST(Symbolizer, RefusesADebugFileWithAnotherChecksum) {
  const std::uint64_t pc = AddressOf(Fixture("noid"), "HiddenSort");
  Symbolizer symbolizer(Symbolizer::kDefaultMemoryCap, "/nonexistent");
  EXPECT_EQ(OutermostName(symbolizer.Symbolize(ModuleOf(Fixture("wrong/crc")), {pc}), 0), "");
}

TEST(Symbolizer, GivesNoNamesFromAFileThatIsNotTheLoadedOne) {
  const std::uint64_t pc = AddressOf(Fixture("gcc5"), "HiddenSort");
  elf::Module replaced = ModuleOf(Fixture("gcc5"));
  replaced.build_id[0] = static_cast<char>(replaced.build_id[0] ^ 1);
  elf::Module other_inode = ModuleOf(Fixture("noid"));
  ++other_inode.inode;
  Symbolizer symbolizer;
  EXPECT_TRUE(symbolizer.Symbolize(replaced, {pc}).frames[0].empty());
  EXPECT_TRUE(symbolizer.Symbolize(replaced, {pc + 1}).frames[0].empty());
  EXPECT_EQ(symbolizer.stats().modules_unreadable, 1u);
  EXPECT_TRUE(symbolizer.Symbolize(other_inode, {pc}).frames[0].empty());
  EXPECT_TRUE(symbolizer.Symbolize(ModuleOf("/nonexistent"), {pc}).frames[0].empty());
  EXPECT_EQ(symbolizer.stats().modules_unreadable, 3u);
}

// A file of code and, `count` times, a symbol that covers all of it.
std::string FileOfOverlappingSymbols(std::size_t count) {
  const std::string names("\0.text\0.strtab\0.symtab\0everything", 33);
  constexpr std::size_t kSections = 4, kTextSize = 1 << 16;
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_shoff = sizeof header;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = kSections;
  header.e_shstrndx = 2;
  Elf64_Shdr sections[kSections] = {};
  const std::size_t names_at = sizeof header + sizeof sections;
  sections[1] = {1, SHT_NOBITS, SHF_ALLOC | SHF_EXECINSTR, 4096, 0, kTextSize, 0, 0, 1, 0};
  sections[2] = {7, SHT_STRTAB, 0, 0, names_at, names.size() + 1, 0, 0, 1, 0};
  sections[3] = {
      15, SHT_SYMTAB,       0, 0, names_at + names.size() + 1, count * sizeof(Elf64_Sym), 2, 0,
      1,  sizeof(Elf64_Sym)};
  const Elf64_Sym symbol = {23, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, 4096, kTextSize};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes.append(reinterpret_cast<const char*>(sections), sizeof sections);
  bytes.append(names.c_str(), names.size() + 1);
  for (std::size_t i = 0; i < count; ++i)
    bytes.append(reinterpret_cast<const char*>(&symbol), sizeof symbol);
  return bytes;
}

TEST(Symbolizer, StopsWhereAFileAsksForTheSquareOfItsSize) {
  const std::string path = testing::TempDir() + "symbolizer_test_overlapping";
  std::vector<std::uint64_t> pcs;
  for (std::uint64_t i = 0; i < 20000; ++i) pcs.push_back(4096 + i);
  elf::Module module;
  module.path = module.open_path = path;
  std::ofstream(path, std::ios::binary) << FileOfOverlappingSymbols(10);
  Symbolizer modest;
  EXPECT_EQ(OutermostName(modest.Symbolize(module, pcs), 19999), "everything");
  EXPECT_EQ(modest.stats().modules_unreadable, 0u);
  std::ofstream(path, std::ios::binary) << FileOfOverlappingSymbols(200000);
  Symbolizer hostile;  // four thousand million steps
  hostile.Symbolize(module, pcs);
  EXPECT_EQ(hostile.stats().modules_unreadable, 1u);
  unlink(path.c_str());
}

TEST(Symbolizer, SurvivesFilesCutAnywhere) {
  std::ifstream in(Fixture("gcc5"), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const std::vector<std::uint64_t> pcs = RandomCode(Fixture("gcc5"), 20);
  const std::string path = testing::TempDir() + "symbolizer_test_cut";
  for (std::size_t part = 0; part < 24; ++part) {
    std::ofstream(path, std::ios::binary) << bytes.substr(0, bytes.size() * part / 24);
    Symbolizer symbolizer;
    elf::Module module;
    module.path = module.open_path = path;
    EXPECT_TRUE(symbolizer.Symbolize(module, pcs).frames[0].empty());
    EXPECT_EQ(symbolizer.stats().modules_unreadable, 1u);
  }
  unlink(path.c_str());
}

TEST(Symbolizer, FallsBackToNamesBeyondTheMemoryCap) {
  const std::uint64_t pc = AddressOf(Fixture("gcc5"), "HiddenSort");
  Symbolizer symbolizer(64u << 10);
  const Symbols symbols = symbolizer.Symbolize(ModuleOf(Fixture("zlib")), {pc});
  ASSERT_EQ(symbols.frames[0].size(), 1u);
  EXPECT_NE(OutermostName(symbols, 0).find("HiddenSort"), std::string::npos);
  EXPECT_EQ(symbols.frames[0][0].line, 0u);
  EXPECT_EQ(symbolizer.stats().over_memory_cap, 1u);
}

// Names and lines, no inlined functions, and it is counted.
TEST(Symbolizer, GivesWhatTheProgramItselfHasWithoutItsSplitDebugInformation) {
  for (const char* file : {"split/gone/program", "split/wrong/program"}) {
    const std::string reference = Fixture("gcc5");
    const std::vector<std::uint64_t> pcs = RandomCode(reference, 500);
    const std::vector<Lines> whole = AskLlvm(reference, pcs);
    Symbolizer symbolizer;
    const Symbols symbols = symbolizer.Symbolize(ModuleOf(Fixture(file)), pcs);
    const auto aliases = Aliases(reference);
    std::size_t named = 0;
    for (std::size_t i = 0; i < pcs.size(); ++i) {
      if (symbols.frames[i].empty() || whole[i][1].find("crtstuff.c") == 0) continue;
      ++named;
      const Lines ours = LinesOf(symbols, symbols.frames[i]);
      ASSERT_EQ(ours.size(), 2u);
      const std::string& name = whole[i][whole[i].size() - 2];  // the outermost
      EXPECT_TRUE(ours[0] == name || aliases.count({ours[0], name}) > 0) << ours[0] << " " << name;
      EXPECT_EQ(ours[1], whole[i][1]);
    }
    EXPECT_GT(named, 400u);
    EXPECT_EQ(symbolizer.stats().modules_unreadable, 1u) << file;
  }
}

TEST(Symbolizer, FallsBackToNamesWhereSectionsAreCompressedInAnUnknownWay) {
  const std::uint64_t pc = AddressOf(Fixture("gcc5"), "HiddenSort");
  Symbolizer symbolizer;
  const Symbols symbols = symbolizer.Symbolize(ModuleOf(Fixture("zstd")), {pc});
  ASSERT_EQ(symbols.frames[0].size(), 1u);
  EXPECT_NE(OutermostName(symbols, 0).find("HiddenSort"), std::string::npos);
  EXPECT_EQ(symbols.frames[0][0].line, 0u);
  EXPECT_EQ(symbolizer.stats().modules_unreadable, 1u);
}

// With stubs of the architecture that this test runs on, which the fixtures are not built for.
std::string ProgramWithPlt() {
#if defined(__x86_64__)
  return Fixture("gcc5");
#else
  return "/proc/self/exe";
#endif
}

TEST(Symbolizer, NamesPltStubs) {
  const auto file = ElfFile::Open(ByteSource::OpenFile(ProgramWithPlt()));
  const ElfSection* plt =
      file->Find(".plt.sec") != nullptr ? file->Find(".plt.sec") : file->Find(".plt");
  ASSERT_NE(plt, nullptr);
  Symbolizer symbolizer;
  const Symbols symbols =
      symbolizer.Symbolize(ModuleOf(ProgramWithPlt()), {plt->address + plt->size - 9});
  EXPECT_NE(OutermostName(symbols, 0).find("@plt"), std::string::npos) << OutermostName(symbols, 0);
}

TEST(Symbolizer, NamesTheVdsoFromMemory) {
  const std::uint64_t start = getauxval(AT_SYSINFO_EHDR);
  if (start == 0) GTEST_SKIP() << "no vDSO";
  elf::Module vdso;
  vdso.path = "[vdso]";
  vdso.bias = vdso.image_start = start;
  vdso.image_limit = start + 0x2000;
  const auto file = ElfFile::Open(ByteSource::OpenOwnMemory(vdso.image_start, vdso.image_limit));
  ASSERT_NE(file, nullptr);
  const ElfSection* text = file->Find(".text");
  ASSERT_NE(text, nullptr);
  std::vector<std::uint64_t> pcs;
  for (std::uint64_t at = 0; at < text->size; at += 16) pcs.push_back(start + text->address + at);
  Symbolizer symbolizer;
  const Symbols symbols = symbolizer.Symbolize(vdso, pcs);
  std::set<std::string> names;
  for (std::size_t i = 0; i < pcs.size(); ++i) names.insert(OutermostName(symbols, i));
  EXPECT_TRUE(names.count("__vdso_clock_gettime") + names.count("clock_gettime") > 0)
      << testing::PrintToString(names);
}

TEST(Symbolizer, NamesItsOwnExecutableThroughProcAndAppliesTheBias) {
  elf::Module self = ModuleOf("/proc/self/exe");
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* bias) {
        *static_cast<std::uint64_t*>(bias) = info->dlpi_addr;
        return 1;
      },
      &self.bias);
  Symbolizer symbolizer;
  const Symbols symbols = symbolizer.Symbolize(self, {reinterpret_cast<std::uint64_t>(&AddressOf)});
  EXPECT_NE(OutermostName(symbols, 0).find("AddressOf("), std::string::npos);
}

TEST(Symbolizer, RemembersAnswersAndKeepsTheCacheSmall) {
  const std::vector<std::uint64_t> pcs = RandomCode(Fixture("gcc5"), 50);
  const std::string path = testing::TempDir() + "symbolizer_test_copy";
  RunCommand("cp " + Fixture("gcc5") + " " + path);
  Symbolizer symbolizer;
  const elf::Module module = ModuleOf(path);
  const Symbols first = symbolizer.Symbolize(module, pcs);
  unlink(path.c_str());
  const Symbols second = symbolizer.Symbolize(module, pcs);
  for (std::size_t i = 0; i < pcs.size(); ++i)
    EXPECT_EQ(LinesOf(first, first.frames[i]), LinesOf(second, second.frames[i]));
  EXPECT_EQ(symbolizer.stats().modules_unreadable, 0u);
  EXPECT_GT(symbolizer.stats().cache_bytes, 0u);
  EXPECT_LT(symbolizer.stats().cache_bytes, 16u << 20);
}

TEST(Symbolizer, NeverAsksADebuginfodServer) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 8), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  setenv("DEBUGINFOD_URLS", url.c_str(), 1);
  Symbolizer symbolizer(Symbolizer::kDefaultMemoryCap, "/nonexistent");
  for (const char* file : {"stripped", "multi/first", "mini"})
    symbolizer.Symbolize(ModuleOf(Fixture(file)), RandomCode(Fixture("gcc5"), 10));
  EXPECT_EQ(getenv("DEBUGINFOD_URLS"), url);
  unsetenv("DEBUGINFOD_URLS");
  EXPECT_EQ(accept(listener, nullptr, nullptr), -1) << "somebody asked";
  close(listener);
}

TEST(Demangle, CutsAndRefusesHostileNames) {
  EXPECT_EQ(Demangle("_ZN1a1bEi"), "a::b(int)");
  EXPECT_EQ(Demangle("_ZN1a1bEi@plt"), "a::b(int)@plt");
  EXPECT_EQ(Demangle("main"), "main");
  EXPECT_EQ(Demangle("_Z"), "_Z");
  EXPECT_EQ(Demangle("_ZNnonsense"), "_ZNnonsense");
  EXPECT_EQ(Demangle("_Z1f" + std::string(100000, 'P') + "i").size(), kMaxDemangled);
  EXPECT_EQ(Demangle(std::string(9000, 'x')).size(), kMaxDemangled);
  std::string doubling = "_Z1fI1aIiiE";  // each S<n>_ repeats all that came before it, twice
  for (int i = 0; i < 200; ++i) doubling += "1aIS" + (i == 0 ? "" : std::to_string(i)) + "_S_E";
  EXPECT_LE(Demangle(doubling + "Evv").size(), kMaxDemangled);
}

}  // namespace
}  // namespace pprof::symbolize
