// Files that ask for more than they may: each is symbolized in bounded time and memory. Not run
// under sanitizers, which keep freed memory.
#include <gtest/gtest.h>
#include <lzma.h>
#include <unistd.h>
#include <zlib.h>

#include <random>

#include "src/pprof/symbolize/symbolizer.h"
#include "tests/support/bounded.h"
#include "tests/support/elf_writer.h"

namespace pprof::symbolize {
namespace {

using test::Append;
using test::AppendUleb;
using test::ElfWriter;

// Beside the cap on what DWARF may take (64 MiB) there are the sections' headers, the answers and
// their cache (16 MiB).
constexpr double kMaxSeconds = 2, kMaxMib = 64;
constexpr std::uint64_t kNamed = 1u << 16;  // in the result: an address got a name

class HostileFile : public testing::Test {
 protected:
  HostileFile()
      : path_(testing::TempDir() + "hostile_" + std::to_string(getpid()) + "_" +
              testing::UnitTest::GetInstance()->current_test_info()->name()) {}
  ~HostileFile() override { unlink(path_.c_str()); }

  // Symbolizes `count` addresses of the code. The result: modules unreadable, over the cap << 8.
  void Expect(std::uint64_t result, std::size_t count = 3000, const std::string& id = "") {
    const test::Cost cost = test::CostOf([&] {
      elf::Module module;
      module.path = module.open_path = path_;
      module.build_id = id;
      std::vector<std::uint64_t> pcs;
      for (std::size_t i = 0; i < count; ++i) pcs.push_back(ElfWriter::kCode + i * 16);
      Symbolizer symbolizer(Symbolizer::kDefaultMemoryCap, "/nonexistent");
      const Symbols symbols = symbolizer.Symbolize(module, pcs);
      const SymbolizerStats stats = symbolizer.stats();
      return stats.modules_unreadable | stats.over_memory_cap << 8 |
             (symbols.frames[0].empty() ? 0 : kNamed);
    });
    EXPECT_TRUE(cost.ended);
    EXPECT_EQ(cost.result, result);
    EXPECT_LE(cost.cpu_seconds, kMaxSeconds);
    EXPECT_LE(cost.peak_mib, kMaxMib);
    std::printf("%.3f s, %.1f MiB\n", cost.cpu_seconds, cost.peak_mib);
  }

  std::string path_;
};

// Attributes of an abbreviation: pairs of name and form.
void AddAbbreviation(std::string* table, unsigned code, unsigned tag, bool children,
                     const std::vector<unsigned>& attributes) {
  AppendUleb(table, code);
  AppendUleb(table, tag);
  table->push_back(children ? 1 : 0);
  for (const unsigned number : attributes) AppendUleb(table, number);
  table->append(2, '\0');
}

// DWARF 4: length, version, abbreviations, size of an address.
std::string Unit(const std::string& dies, std::uint32_t abbreviations = 0) {
  std::string unit;
  Append(&unit, static_cast<std::uint32_t>(dies.size() + 7));
  Append(&unit, std::uint16_t{4});
  Append(&unit, abbreviations);
  unit.push_back(8);
  return unit + dies;
}

// The DIE of abbreviation `code`: DW_AT_low_pc (addr), DW_AT_high_pc (data8).
std::string Covering(unsigned code, std::uint64_t low, std::uint64_t size) {
  std::string die;
  AppendUleb(&die, code);
  Append(&die, low);
  Append(&die, size);
  return die;
}

constexpr unsigned kCompileUnit = 0x11, kSubprogram = 0x2e, kInlined = 0x1d;
const std::vector<unsigned> kLowHigh = {0x11, 0x01, 0x12, 0x07};  // as data8

std::string ZlibOf(const std::string& bytes, std::uint64_t claimed, int level = 1) {
  std::string packed;
  Append(&packed, Elf64_Chdr{ELFCOMPRESS_ZLIB, 0, claimed, 1});
  uLongf size = compressBound(bytes.size());
  std::string out(size, '\0');
  compress2(reinterpret_cast<Bytef*>(out.data()), &size,
            reinterpret_cast<const Bytef*>(bytes.data()), bytes.size(), level);
  return packed + out.substr(0, size);
}

std::string XzOf(const std::string& bytes) {
  std::string out(lzma_stream_buffer_bound(bytes.size()), '\0');
  std::size_t size = 0;
  lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, nullptr,
                          reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(),
                          reinterpret_cast<std::uint8_t*>(out.data()), &size, out.size());
  return out.substr(0, size);
}

std::string Noise(std::size_t size) {
  std::mt19937_64 random(5);
  std::string bytes;
  while (bytes.size() < size) Append(&bytes, random());
  return bytes;
}

TEST_F(HostileFile, OfManySectionsThatIsItsOwnDebugFile) {
  ElfWriter file;
  file.BuildId("self");
  const std::string name = path_.substr(path_.rfind('/') + 1);
  std::string link = name + std::string(4 - name.size() % 4, '\0');
  file.Add(".gnu_debuglink", link + "crc!");
  file.Repeat(file.Add(std::string(255, 'x'), "x"), 130000);
  file.Write(path_);
  Expect(0, 3000, "self");
}

TEST_F(HostileFile, OfManyNotesInProgramHeaders) {
  ElfWriter file;
  file.Add("notes", std::string(1 << 20, '\0'));
  Elf64_Phdr note = {};
  note.p_type = PT_NOTE;
  note.p_offset = sizeof(Elf64_Ehdr);
  note.p_filesz = 1 << 20;
  file.segments.assign(65535, note);
  file.Write(path_);
  Expect(0);
}

TEST_F(HostileFile, WithATerabyteOfSymbols) {
  ElfWriter file;
  const std::uint32_t names = file.Add(".strtab", std::string("\0name", 5));
  const std::uint32_t symbols = file.Add(".symtab", "", SHT_SYMTAB, names);
  file.section(symbols).sh_size = std::uint64_t{1} << 40;
  file.Write(path_);
  ASSERT_EQ(truncate(path_.c_str(), off_t{1} << 41), 0);
  Expect(0);
}

TEST_F(HostileFile, WhoseSymbolsHaveLongNamesFarApart) {
  constexpr std::size_t kNames = 32u << 20;
  ElfWriter file;
  const std::uint32_t names = file.Add(".strtab", std::string(kNames, 'x'));
  std::string symbols;
  std::mt19937 random(5);
  for (int i = 0; i < 500000; ++i)
    Append(&symbols, Elf64_Sym{static_cast<std::uint32_t>(random() % kNames) | 1, 0, 0, 1,
                               ElfWriter::kCode, 0});
  file.Add(".symtab", symbols, SHT_SYMTAB, names);
  file.Write(path_);
  Expect(kNamed | 1);
}

TEST_F(HostileFile, OfAMillionUnits) {
  std::string abbreviations, info;
  AddAbbreviation(&abbreviations, 1, kCompileUnit, false, {});
  abbreviations.push_back('\0');
  const std::string unit = Unit("\1");
  for (int i = 0; i < 1 << 20; ++i) info += unit;
  ElfWriter file;
  file.Add(".debug_abbrev", abbreviations);
  file.Add(".debug_info", info);
  file.Write(path_);
  Expect(0);
}

TEST_F(HostileFile, WhoseUnitsHaveTheirAbbreviationAtTheEndOfALongTable) {
  std::string abbreviations, info;
  for (unsigned code = 1; code <= 32767; ++code)
    AddAbbreviation(&abbreviations, code, kCompileUnit, false, {});
  abbreviations.push_back('\0');
  std::string die;
  AppendUleb(&die, 32767);
  for (int i = 0; i < 100000; ++i) info += Unit(die);
  ElfWriter file;
  file.Add(".debug_abbrev", abbreviations);
  file.Add(".debug_info", info);
  file.Write(path_);
  Expect(1);
}

// Every unit's line table has as many files as may be, each described by forms without bytes.
TEST_F(HostileFile, OfEmptyFilesInLineTables) {
  std::string abbreviations, info, line;
  std::vector<unsigned> attributes = kLowHigh;
  attributes.insert(attributes.end(), {0x10, 0x17});  // DW_AT_stmt_list, sec_offset
  AddAbbreviation(&abbreviations, 1, kCompileUnit, false, attributes);
  abbreviations.push_back('\0');
  for (std::uint32_t i = 0; i < 3000; ++i)
    info += Unit(Covering(1, ElfWriter::kCode + i * 16, 16) + std::string(4, '\0'));
  std::string header("\1\1\1\1\xe\1", 6);  // ... opcode base 1
  for (int table = 0; table < 2; ++table) {
    header.push_back(32);
    for (int format = 0; format < 32; ++format) header += "\1\x19";  // path, flag_present
    AppendUleb(&header, 1 << 17);
  }
  Append(&line, static_cast<std::uint32_t>(header.size() + 8));
  Append(&line, std::uint16_t{5});
  line += std::string("\x8\0", 2);
  Append(&line, static_cast<std::uint32_t>(header.size()));
  ElfWriter file;
  file.Add(".debug_abbrev", abbreviations);
  file.Add(".debug_info", info);
  file.Add(".debug_line", line + header);
  file.Write(path_);
  Expect(1);
}

// All functions are inlined into each other, 256 deep, at every address.
TEST_F(HostileFile, WhoseFunctionsAreAllInlinedEverywhere) {
  std::string abbreviations, dies = Covering(1, ElfWriter::kCode, ElfWriter::kCodeSize);
  AddAbbreviation(&abbreviations, 1, kCompileUnit, true, kLowHigh);
  AddAbbreviation(&abbreviations, 2, kInlined, true, kLowHigh);
  abbreviations.push_back('\0');
  for (int i = 0; i < 256; ++i) dies += Covering(2, ElfWriter::kCode, ElfWriter::kCodeSize);
  ElfWriter file;
  file.Add(".debug_abbrev", abbreviations);
  file.Add(".debug_info", Unit(dies + std::string(257, '\0')));
  file.Write(path_);
  Expect(1 << 8, 10000);
}

// DW_AT_abstract_origin and DW_AT_specification in circles: of one, of two, and into itself as its
// own .gnu_debugaltlink.
TEST_F(HostileFile, WhoseOriginsGoRoundInCircles) {
  std::string abbreviations, dies = Covering(1, ElfWriter::kCode, ElfWriter::kCodeSize);
  AddAbbreviation(&abbreviations, 1, kCompileUnit, true, kLowHigh);
  const std::vector<std::pair<unsigned, unsigned>> links = {
      {0x31, 0x13}, {0x47, 0x13}, {0x31, 0x13}, {0x31, 0x1f20}};  // ref4, GNU_ref_alt
  for (std::size_t i = 0; i < links.size(); ++i) {
    std::vector<unsigned> attributes = kLowHigh;
    attributes.insert(attributes.end(), {links[i].first, links[i].second});
    AddAbbreviation(&abbreviations, static_cast<unsigned>(2 + i), kSubprogram, false, attributes);
  }
  abbreviations.push_back('\0');
  const std::uint32_t first = 11 + 17;  // behind the unit's header and its own DIE
  const std::uint32_t targets[] = {first, first + 2 * 21, first + 21, first + 3 * 21};
  for (unsigned i = 0; i < 4; ++i) {
    dies += Covering(2 + i, ElfWriter::kCode + i * 16, 16);
    Append(&dies, targets[i]);
  }
  ElfWriter file;
  file.BuildId("alt!");
  file.Add(".gnu_debugaltlink", path_ + std::string(1, '\0') + "alt!");
  file.Add(".debug_abbrev", abbreviations);
  file.Add(".debug_info", Unit(dies + std::string(1, '\0')));
  file.Write(path_);
  Expect(0, 4, "alt!");
}

TEST_F(HostileFile, WhoseSectionsAreTheSameBytes) {
  ElfWriter file;
  const std::uint32_t noise = file.Add(".debug_info", Noise(1 << 20));
  for (const char* name : {".debug_abbrev", ".debug_line", ".debug_str", ".debug_ranges"}) {
    const std::uint32_t other = file.Add(name, "x");
    file.section(other).sh_offset = file.section(noise).sh_offset;
    file.section(other).sh_size = file.section(noise).sh_size;
  }
  file.Write(path_);
  Expect(1);
}

TEST_F(HostileFile, ThatClaimsATerabyteInZlib) {
  ElfWriter file;
  file.Add(".debug_info", ZlibOf("x", std::uint64_t{1} << 40), SHT_PROGBITS, 0, SHF_COMPRESSED);
  file.Write(path_);
  Expect(1);
}

TEST_F(HostileFile, ThatUnpacksToMoreThanTheCapInZlib) {
  constexpr std::size_t kSize = 128u << 20;
  ElfWriter file;
  file.Add(".debug_info", ZlibOf(std::string(kSize, '\0'), kSize), SHT_PROGBITS, 0, SHF_COMPRESSED);
  file.Write(path_);
  Expect(1 << 8);
}

TEST_F(HostileFile, ThatUnpacksToMoreThanItClaimsInZlib) {
  ElfWriter file;
  file.Add(".debug_info", ZlibOf(std::string(64u << 20, '\0'), 32u << 20), SHT_PROGBITS, 0,
           SHF_COMPRESSED);
  file.Write(path_);
  Expect(1);
}

// What is compressed is never held beside what comes out.
TEST_F(HostileFile, WhoseZlibIsAsLargeAsWhatComesOut) {
  constexpr std::size_t kSize = 48u << 20;
  ElfWriter file;
  file.Add(".debug_info", ZlibOf(Noise(kSize), kSize, 0), SHT_PROGBITS, 0, SHF_COMPRESSED);
  file.Write(path_);
  Expect(1);
}

TEST_F(HostileFile, WhoseMiniDebugInfoIsABomb) {
  ElfWriter file;
  file.Add(".gnu_debugdata", XzOf(std::string(96u << 20, '\0')));
  file.Write(path_);
  Expect(0);
}

}  // namespace
}  // namespace pprof::symbolize
