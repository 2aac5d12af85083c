#include <dlfcn.h>
#include <gtest/gtest.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "src/pprof/elf/byte_reader.h"
#include "src/pprof/elf/memory.h"
#include "src/pprof/elf/module.h"
#include "src/pprof/elf/notes.h"
#include "src/pprof/elf/vdso.h"

namespace pprof::elf {
namespace {

using Bytes = std::vector<std::uint8_t>;

ByteReader ReaderOf(const Bytes& bytes) { return {bytes.data(), bytes.data() + bytes.size()}; }

void AppendU32(Bytes* bytes, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) bytes->push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

// A note with its paddings.
void AppendNote(Bytes* bytes, const std::string& name, std::uint32_t type, const Bytes& content) {
  AppendU32(bytes, static_cast<std::uint32_t>(name.size() + 1));
  AppendU32(bytes, static_cast<std::uint32_t>(content.size()));
  AppendU32(bytes, type);
  bytes->insert(bytes->end(), name.begin(), name.end());
  bytes->push_back(0);
  while (bytes->size() % 4 != 0) bytes->push_back(0);
  bytes->insert(bytes->end(), content.begin(), content.end());
  while (bytes->size() % 4 != 0) bytes->push_back(0);
}

// The loader's own answer is the oracle.
TEST(Vdso, FunctionsAreWhereTheLoaderFindsThem) {
  void* const vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
  if (vdso == nullptr) GTEST_SKIP() << "no vDSO here";
  int found = 0;
  for (const char* name : {"__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_getcpu",
                           "__kernel_clock_gettime", "__vdso_clock", "clock_gettime_", ""}) {
    EXPECT_EQ(FindVdsoFunction(name), dlsym(vdso, name)) << name;
    found += FindVdsoFunction(name) != nullptr;
  }
  EXPECT_GT(found, 0);
  dlclose(vdso);
}

TEST(Notes, AreFoundByNameAndTypeWithoutTheirPadding) {
  Bytes notes;
  AppendNote(&notes, "name", 2, {1});
  AppendNote(&notes, "nams", 1, {2});
  AppendNote(&notes, "name", 1, {3, 4, 5});
  const Note note = FindNote(notes.data(), notes.size(), "name", 1);
  ASSERT_EQ(note.size, 3u);
  EXPECT_EQ(note.content[0], 3);
  EXPECT_EQ(FindNote(notes.data(), notes.size() - 1, "name", 1).content, nullptr);
  EXPECT_EQ(FindNote(notes.data(), notes.size(), "nam", 1).content, nullptr);
}

std::string BuildIdOf(const Bytes& notes) { return FindBuildId(notes.data(), notes.size()); }

TEST(ByteReader, ReadsFixedWidths) {
  const Bytes bytes = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,
                       0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0xff, 0xff, 0xff};
  ByteReader reader = ReaderOf(bytes);
  EXPECT_EQ(reader.U8(), 0x01);
  EXPECT_EQ(reader.U16(), 0x0302);
  EXPECT_EQ(reader.U32(), 0x07060504u);
  EXPECT_EQ(reader.U64(), 0x0f0e0d0c0b0a0908u);
  EXPECT_EQ(reader.Fixed<std::int16_t>(), -1);
  EXPECT_EQ(reader.left(), 1u);
  EXPECT_TRUE(reader.ok());
}

TEST(ByteReader, ReadsLeb128OfTheDwarfStandard) {
  const Bytes bytes = {2, 127, 0x80, 1, 0xb9, 0x64, 2, 0x7e, 0xff, 0, 0x81, 0x7f};
  ByteReader reader = ReaderOf(bytes);
  EXPECT_EQ(reader.Uleb(), 2u);
  EXPECT_EQ(reader.Uleb(), 127u);
  EXPECT_EQ(reader.Uleb(), 128u);
  EXPECT_EQ(reader.Uleb(), 12857u);
  EXPECT_EQ(reader.Sleb(), 2);
  EXPECT_EQ(reader.Sleb(), -2);
  EXPECT_EQ(reader.Sleb(), 127);
  EXPECT_EQ(reader.Sleb(), -127);
  EXPECT_TRUE(reader.ok());
  EXPECT_TRUE(reader.empty());
}

TEST(ByteReader, Leb128KeepsTheLargestAndTheSmallestNumber) {
  const Bytes bytes = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
                       0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f};
  ByteReader reader = ReaderOf(bytes);
  EXPECT_EQ(reader.Uleb(), UINT64_MAX);
  EXPECT_EQ(reader.Sleb(), INT64_MIN);
  EXPECT_TRUE(reader.ok());
}

TEST(ByteReader, Leb128LongerThan64BitsEndsAndDropsTheRest) {
  Bytes bytes(100, 0x80);
  bytes.push_back(0x01);
  ByteReader reader = ReaderOf(bytes);
  EXPECT_EQ(reader.Uleb(), 0u);
  EXPECT_TRUE(reader.ok());
  EXPECT_TRUE(reader.empty());
}

TEST(ByteReader, GivesZerosAfterTheEndAndRemembersIt) {
  const Bytes bytes = {1, 2, 3};
  ByteReader reader = ReaderOf(bytes);
  EXPECT_EQ(reader.U32(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.U8(), 0);
  EXPECT_TRUE(reader.empty());

  const Bytes endless = {0x80, 0x80};
  ByteReader leb = ReaderOf(endless);
  leb.Uleb();
  EXPECT_FALSE(leb.ok());
  ByteReader sleb = ReaderOf(endless);
  sleb.Sleb();
  EXPECT_FALSE(sleb.ok());
}

TEST(ByteReader, TakesAndSkipsOnlyWhatIsThere) {
  const Bytes bytes = {1, 2, 3, 4};
  ByteReader reader = ReaderOf(bytes);
  reader.Skip(1);
  ByteReader two = reader.Take(2);
  EXPECT_EQ(two.U8(), 2);
  EXPECT_EQ(two.left(), 1u);
  EXPECT_EQ(reader.left(), 1u);
  EXPECT_TRUE(reader.Take(UINT64_MAX).empty());
  EXPECT_FALSE(reader.ok());
  ByteReader other = ReaderOf(bytes);
  other.Skip(UINT64_MAX);
  EXPECT_FALSE(other.ok());
}

TEST(ByteReader, ReadsTerminatedStrings) {
  const Bytes bytes = {'z', 'R', 0, 0, 'x'};
  ByteReader reader = ReaderOf(bytes);
  EXPECT_EQ(reader.CString(), "zR");
  EXPECT_EQ(reader.CString(), "");
  EXPECT_EQ(reader.CString(), "");
  EXPECT_FALSE(reader.ok());
}

TEST(Notes, FindsTheBuildIdBehindOtherNotes) {
  Bytes notes;
  AppendNote(&notes, "GNU", NT_GNU_ABI_TAG, Bytes(16, 0));
  AppendNote(&notes, "stapsdt", NT_GNU_BUILD_ID, {9, 9, 9, 9});
  AppendNote(&notes, "Go", 4, Bytes(7, 'x'));  // both fields need padding
  AppendNote(&notes, "GNU", NT_GNU_BUILD_ID, {0xde, 0xad, 0xbe, 0xef, 0x01});
  EXPECT_EQ(BuildIdOf(notes), "\xde\xad\xbe\xef\x01");
}

TEST(Notes, HasNoBuildIdWithoutOneThatFits) {
  EXPECT_EQ(FindBuildId(nullptr, 0), "");
  Bytes notes;
  AppendNote(&notes, "GNU", NT_GNU_BUILD_ID, {});
  AppendNote(&notes, "GNU", NT_GNU_BUILD_ID, Bytes(65, 1));
  EXPECT_EQ(BuildIdOf(notes), "");
}

TEST(Notes, BelievesNoSize) {
  Bytes notes;
  AppendNote(&notes, "GNU", NT_GNU_BUILD_ID, Bytes(20, 7));
  for (std::size_t size = 0; size < notes.size(); ++size) {
    EXPECT_EQ(FindBuildId(notes.data(), size), "") << size;
  }
  for (const std::size_t field : {0u, 4u}) {
    Bytes hostile = notes;
    std::memset(hostile.data() + field, 0xff, 4);  // 2^32 - 1, which padding takes beyond 32 bits
    EXPECT_EQ(BuildIdOf(hostile), "") << field;
  }
}

TEST(Memory, CopiesWhatIsMapped) {
  const std::string text = "bytes of this process";
  std::string copy(text.size(), ' ');
  ASSERT_TRUE(CopyMemory(reinterpret_cast<std::uint64_t>(text.data()), copy.data(), text.size()));
  EXPECT_EQ(copy, text);
}

TEST(Memory, StopsWhereTheMappingEnds) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* const mapping =
      mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapping, MAP_FAILED);
  std::memset(mapping, 0x5a, page);
  munmap(static_cast<char*>(mapping) + page, page);
  const auto address = reinterpret_cast<std::uint64_t>(mapping) + page - 10;
  EXPECT_EQ(CopyMemoryUpTo(address, page), base::LargeVector<std::uint8_t>(10, 0x5a));
  char byte[20];
  EXPECT_TRUE(CopyMemory(address, byte, 10));
  EXPECT_FALSE(CopyMemory(address, byte, 11));
  munmap(mapping, page);
  EXPECT_FALSE(CopyMemory(address, byte, 1));
  EXPECT_TRUE(CopyMemoryUpTo(address, 10).empty());
}

TEST(ModuleList, FindsTheModuleOfAnAddress) {
  ModuleList list;
  EXPECT_EQ(list.Find(0x1000), nullptr);
  for (const std::uint64_t start : {0x1000u, 0x3000u}) {
    auto module = std::make_shared<Module>();
    module->start = start;
    module->limit = start + 0x1000;
    list.modules.push_back(std::move(module));
  }
  EXPECT_EQ(list.Find(0xfff), nullptr);
  EXPECT_EQ(list.Find(0x1000), list.modules[0].get());
  EXPECT_EQ(list.Find(0x1fff), list.modules[0].get());
  EXPECT_EQ(list.Find(0x2000), nullptr);
  EXPECT_EQ(list.Find(0x3fff), list.modules[1].get());
  EXPECT_EQ(list.Find(0x4000), nullptr);
}

}  // namespace
}  // namespace pprof::elf
