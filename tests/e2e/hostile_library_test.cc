// Libraries that no linker would make are loaded into a program whose profile runs, and their code
// works there. The program goes on, the profile costs little more than with a harmless library, and
// all the rest of it is as usual. Not run under sanitizers, which keep freed memory.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pprof/profile.h>
#include <unistd.h>
#include <zlib.h>

#include <random>

#include "src/pprof/unwind/eh_frame_builder.h"
#include "tests/support/bounded.h"
#include "tests/support/busy.h"
#include "tests/support/loadable_elf.h"
#include "tests/support/pprof_reader.h"

namespace pprof {
namespace {

using test::Append;
using test::ElfWriter;
using unwind::EhFrameBuilder;

// Above what the harmless library costs.
constexpr double kMaxSeconds = 2, kMaxMib = 64;
constexpr int kWorkMs = 200;  // of the library, and of the program

// Counts its argument down to zero.
std::string Code() {
#if defined(__x86_64__)
  return "\x48\xff\xcf\x75\xfb\xc3";  // dec rdi; jnz; ret
#else
  std::string code;
  for (const std::uint32_t word : {0xf1000400u, 0x54ffffe1u, 0xd65f03c0u})  // subs x0; b.ne; ret
    Append(&code, word);
  return code;
#endif
}

__attribute__((noinline)) void WorkOfTheProgram() {
  test::BurnMs(kWorkMs / 2);
  asm volatile("");  // not a tail call
}

__attribute__((noinline)) void WorkOfTheLibrary(const std::string& path) {
  void* const opened = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (opened == nullptr) std::printf("%s\n", dlerror());
  if (opened == nullptr) return;
  const std::uint64_t base = static_cast<const link_map*>(opened)->l_addr;
  const auto work = reinterpret_cast<void (*)(std::uint64_t)>(base + ElfWriter::kCode);
  const std::int64_t end = test::ThreadCpuNs() + std::int64_t{kWorkMs} * 1000000;
  while (test::ThreadCpuNs() < end) work(100000);
}

// In parts of a thousand of the work's CPU time: what the profile has of the program by name,
// before and after the library's work, and of the library by address. 0 where there is no profile.
struct Shares {
  std::uint64_t program = 0, library = 0;
  bool named = false;  // the library's function
};
constexpr std::uint64_t kLeastInBoth = 1850;  // of 2000

constexpr char kProgramsWork[] = "pprof::(anonymous namespace)::WorkOfTheProgram";

bool IsOfLibrary(const pprof_reader::Sample& sample, const std::string& path) {
  return !sample.frames.empty() && sample.frames[0].module == path;
}

// For whoever has to find out where else the work's time went.
void PrintRest(const pprof_reader::Profile& profile, const std::string& path) {
  for (const pprof_reader::Sample& sample : profile.samples) {
    if (sample.HasFunction(kProgramsWork) || IsOfLibrary(sample, path)) continue;
    std::printf("  %lld ms:", static_cast<long long>(sample.cpu_ns / 1000000));
    for (const pprof_reader::Frame& frame : sample.frames)
      std::printf(" %s@%llx", std::string(frame.function).c_str(),
                  static_cast<unsigned long long>(frame.address));
    std::printf("\n");
  }
  std::fflush(stdout);  // the process ends by _exit
}

Shares Profiled(const std::string& path) {
  std::string bytes, error;
  auto profile = StartCpuProfile(
      [&](std::string_view piece) {
        bytes += piece;
        return true;
      },
      {250});
  if (!profile.ok()) return {};
  WorkOfTheProgram();
  WorkOfTheLibrary(path);
  WorkOfTheProgram();
  if (!profile->Stop().ok()) return {};
  const auto read = pprof_reader::Read(bytes, &error);
  if (!read.has_value()) return {};
  std::int64_t program = 0, library = 0;
  Shares shares;
  for (const pprof_reader::Sample& sample : read->samples) {
    if (sample.HasFunction(kProgramsWork)) program += sample.cpu_ns;
    if (!IsOfLibrary(sample, path)) continue;
    library += sample.cpu_ns;
    shares.named |= sample.frames[0].function == "work";
  }
  shares.program = static_cast<std::uint64_t>(program / 1000 / kWorkMs);
  shares.library = static_cast<std::uint64_t>(library / 1000 / kWorkMs);
  if (shares.program + shares.library < kLeastInBoth) PrintRest(*read, path);
  return shares;
}

std::string SectionOf(const EhFrameBuilder& builder) {
  return {builder.bytes().begin(), builder.bytes().end()};
}

// So many descriptions of the code, whose addresses differ by `step`.
std::string Described(std::size_t times, std::uint64_t step) {
  EhFrameBuilder builder;
  const std::size_t cie = builder.Cie();
  const std::uint64_t code = EhFrameBuilder::kAddress - test::kTable + ElfWriter::kCode;
  for (std::size_t i = 0; i < times; ++i) builder.Fde(cie, code + i * step, 16, {});
  builder.Terminator();
  return SectionOf(builder);
}

std::string Noise(std::size_t size) {
  std::mt19937_64 random(5);
  std::string bytes;
  while (bytes.size() < size) Append(&bytes, random());
  return bytes;
}

class HostileLibrary : public testing::Test {
 protected:
  HostileLibrary() : path_(Path(testing::UnitTest::GetInstance()->current_test_info()->name())) {}
  ~HostileLibrary() override { unlink(path_.c_str()); }

  static std::string Path(const std::string& name) {
    return testing::TempDir() + "hostile_library_" + std::to_string(getpid()) + "_" + name;
  }

  static void Load(ElfWriter* file, const std::string& eh_frame, std::uint32_t fdes = 1) {
    test::MakeLoadable(file, Code(), eh_frame, fdes, 4096);
  }

  // All the work is in the profile, less the sample that is due when it ends. Which of the two
  // parts a sample falls into is chance where the machine has more to do: 50 samples each.
  static test::Cost Run(const std::string& path, bool named) {
    const test::Cost cost = test::CostOf([&]() -> std::uint64_t {
      const Shares shares = Profiled(path);
      return shares.program << 32 | shares.library << 1 | (shares.named ? 1 : 0);
    });
    const std::uint64_t program = cost.result >> 32, library = (cost.result & 0xffffffff) >> 1;
    EXPECT_TRUE(cost.ended);
    EXPECT_GE(program + library, kLeastInBoth);
    EXPECT_LE(program + library, 2150u);
    EXPECT_GE(program, 300u);
    EXPECT_GE(library, 300u);
    EXPECT_EQ(cost.result & 1, named ? 1u : 0u);
    std::printf("  %.3f s, %.1f MiB\n", cost.cpu_seconds, cost.peak_mib);
    return cost;
  }

  // What is profiled with a harmless library, whose function has a name.
  static void SetUpTestSuite() {
    ElfWriter file;
    Load(&file, Described(1, 16));
    const std::uint32_t names = file.Add(".strtab", std::string("\0work", 6));
    std::string symbols(sizeof(Elf64_Sym), '\0');
    Append(&symbols, Elf64_Sym{1, STT_FUNC, 0, 1, ElfWriter::kCode, 16});
    file.Add(".symtab", symbols, SHT_SYMTAB, names);
    const std::string path = Path("Harmless");
    file.Write(path);
    harmless_ = Run(path, true);
    unlink(path.c_str());
  }

  // `size`: what the file is extended to.
  void ExpectBounded(ElfWriter* file, off_t size = 0) const {
    file->Write(path_);
    if (size != 0) {
      ASSERT_EQ(truncate(path_.c_str(), size), 0);
    }
    const test::Cost cost = Run(path_, false);
    EXPECT_LE(cost.cpu_seconds, harmless_.cpu_seconds + kMaxSeconds);
    EXPECT_LE(cost.peak_mib, harmless_.peak_mib + kMaxMib);
  }

  static inline test::Cost harmless_;
  const std::string path_;
};

TEST_F(HostileLibrary, WhoseUnwindTableIsNoise) {
  ElfWriter file;
  Load(&file, Noise(4u << 20), 0xffffffff);
  ExpectBounded(&file);
}

TEST_F(HostileLibrary, WhoseFunctionsAllBeginTogether) {
  ElfWriter file;
  Load(&file, Described(300000, 0), 300000);
  ExpectBounded(&file);
}

TEST_F(HostileLibrary, WhoseFunctionsOverlap) {
  ElfWriter file;
  Load(&file, Described(300000, 1), 0);
  ExpectBounded(&file);
}

TEST_F(HostileLibrary, WhoseUnwindTableHasNothingButCies) {
  EhFrameBuilder builder;
  for (int i = 0; i < 500000; ++i) builder.Cie("", {}, {});
  builder.Terminator();
  ElfWriter file;
  Load(&file, SectionOf(builder), 1);
  ExpectBounded(&file);
}

TEST_F(HostileLibrary, OfManySectionsAndATerabyteOfSymbols) {
  ElfWriter file;
  Load(&file, Described(1, 16));
  file.Repeat(file.Add(std::string(255, 'x'), "x"), 130000);
  const std::uint32_t names = file.Add(".strtab", std::string("\0work", 6));
  const std::uint32_t symbols = file.Add(".symtab", "", SHT_SYMTAB, names);
  file.section(symbols).sh_size = std::uint64_t{1} << 40;
  ExpectBounded(&file, off_t{1} << 41);
}

TEST_F(HostileLibrary, OfAMillionUnits) {
  const std::string unit("\x8\0\0\0\4\0\0\0\0\0\x8\1", 12);  // DWARF 4, one DIE
  std::string info;
  for (int i = 0; i < 1 << 20; ++i) info += unit;
  ElfWriter file;
  Load(&file, Described(1, 16));
  file.Add(".debug_abbrev", std::string("\1\x11\0\0\0\0", 6));  // a unit without attributes
  file.Add(".debug_info", info);
  ExpectBounded(&file);
}

TEST_F(HostileLibrary, WhoseDebugInformationUnpacksToMoreThanItClaims) {
  const std::string zeros(64u << 20, '\0');
  uLongf size = compressBound(zeros.size());
  std::string packed(size, '\0');
  ASSERT_EQ(compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
                      reinterpret_cast<const Bytef*>(zeros.data()), zeros.size(), 1),
            Z_OK);
  std::string section;
  Append(&section, Elf64_Chdr{ELFCOMPRESS_ZLIB, 0, 32u << 20, 1});
  ElfWriter file;
  Load(&file, Described(1, 16));
  file.Add(".debug_info", section + packed.substr(0, size), SHT_PROGBITS, 0, SHF_COMPRESSED);
  ExpectBounded(&file);
}

}  // namespace
}  // namespace pprof
