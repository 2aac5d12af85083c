#include "src/pprof/unwind/cfi_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "src/pprof/handler/walk_x86_64.h"
#include "src/pprof/unwind/eh_frame_builder.h"

namespace pprof::unwind {
namespace {

using Bytes = EhFrameBuilder::Bytes;
using handler::kFpAtFp;
using handler::kFpSame;
using handler::PackRegisterRule;
using handler::PackRule;
using handler::PackSpecial;

constexpr std::uint64_t kBase = 0x10000;
constexpr std::uint64_t kLimit = 0x60000;

std::string RuleText(std::uint32_t rule) {
  const auto offset = handler::OffsetOf(rule) * 8;
  const auto fp = handler::FpOf(rule);
  const std::string saved = fp == kFpSame   ? ""
                            : fp == kFpAtFp ? " fp=*fp"
                                            : " fp=*cfa" + std::to_string(fp * 8);
  switch (handler::KindOf(rule)) {
    case handler::kSpecial: {
      static const char* const kNames[] = {"end", "stop", "signal", "bad"};
      const int special = handler::OffsetOf(rule);
      return special < handler::kPlt ? kNames[special]
                                     : "plt" + std::to_string(special - handler::kPlt);
    }
    case handler::kSp:
      return "sp+" + std::to_string(offset) + saved;
    case handler::kFp:
      return "fp+" + std::to_string(offset) + saved;
    case handler::kFpDeref:
      return "*(fp" + std::to_string(offset) + ")" + saved;
    case handler::kSpDeref8:
      return "*(sp+" + std::to_string(offset) + ")+8" + saved;
    case handler::kFpDeref8:
      return "*(fp" + std::to_string(offset) + ")+8" + saved;
    case handler::kIndexDeref8:
      return "*(sp+8*r" + std::to_string(handler::RegisterOf(rule)) + "+" + std::to_string(offset) +
             ")+8";
    default:
      return "r" + std::to_string(handler::RegisterOf(rule)) + "+" + std::to_string(offset);
  }
}

std::string Hex(std::uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof text, "%x", value);
  return text;
}

// "pc:rule" for each row, pcs relative to the base.
std::string Rows(const CfiTable& table) {
  std::string text;
  for (const handler::UnwindRow& row : table.rows) {
    text += (text.empty() ? "" : ", ") + Hex(row.pc) + ":" + RuleText(row.rule);
  }
  return text;
}

CfiTable Build(const EhFrame& section) { return BuildCfiTable(section, kBase, kBase, kLimit); }

// The rows of one function of 0x100 bytes at the base, under a plain CIE.
std::string RowsOf(const Bytes& program) {
  EhFrameBuilder builder;
  builder.Fde(builder.Cie(), kBase, 0x100, program);
  builder.Terminator();
  const CfiTable table = Build(builder.section());
  EXPECT_TRUE(table.complete);
  return Rows(table);
}

TEST(CfiTable, CompilesAFramePointerFunction) {
  EXPECT_EQ(RowsOf({0x41,                // advance 1: push rbp
                    0x0e, 16, 0x86, 2,   // cfa offset 16, rbp at CFA - 16
                    0x43,                // advance 3: mov rbp, rsp
                    0x0d, 6,             // cfa register rbp
                    0x02, 0x80,          // advance 0x80
                    0x0c, 7, 8, 0xc6}),  // cfa rsp + 8, restore rbp
            "0:sp+8, 1:sp+16 fp=*cfa-16, 4:fp+16 fp=*cfa-16, 84:sp+8, 100:end");
}

TEST(CfiTable, ReadsEveryWayToAdvance) {
  EXPECT_EQ(
      RowsOf({0x41, 0x0e, 16, 0x02, 1, 0x0e, 24, 0x03, 1, 0, 0x0e, 32, 0x04, 1, 0, 0, 0, 0x0e, 40}),
      "0:sp+8, 1:sp+16, 2:sp+24, 3:sp+32, 4:sp+40, 100:end");
}

TEST(CfiTable, TheLastRuleAtOnePcHolds) {
  EXPECT_EQ(RowsOf({0x41, 0x0e, 16, 0x40, 0x0e, 24}), "0:sp+8, 1:sp+24, 100:end");
  EXPECT_EQ(RowsOf({0x0e, 16, 0x41, 0x0e, 16, 0x41, 0x0e, 16}), "0:sp+16, 100:end");
}

TEST(CfiTable, RemembersStatesInAStack) {
  EXPECT_EQ(RowsOf({0x0a, 0x41, 0x0e, 16, 0x0a, 0x41, 0x0e, 24, 0x41, 0x0b, 0x41, 0x0b}),
            "0:sp+8, 1:sp+16, 2:sp+24, 3:sp+16, 4:sp+8, 100:end");
}

TEST(CfiTable, RestoresWhatTheCieSaid) {
  EXPECT_EQ(RowsOf({0x86, 2, 0x41, 0xc6, 0x41, 0x05, 6, 2, 0x41, 0x06, 6}),
            "0:sp+8 fp=*cfa-16, 1:sp+8, 2:sp+8 fp=*cfa-16, 3:sp+8, 100:end");
}

TEST(CfiTable, ReadsSignedAndNegativeOffsets) {
  EXPECT_EQ(RowsOf({0x11, 6, 2, 0x41, 0x2f, 6, 2}), "0:sp+8 fp=*cfa-16, 1:sp+8 fp=*cfa16, 100:end");
  EXPECT_EQ(RowsOf({0x12, 6, 0x7e, 0x41, 0x13, 0x7d}), "0:fp+16, 1:fp+24, 100:end");
}

TEST(CfiTable, PassesOverWhatDoesNotMatter) {
  EXPECT_EQ(RowsOf({0x00, 0x2e, 0x80, 1,               // nop, args_size 128
                    0x83, 3,    0x08, 3,    0x07, 12,  // rbx saved, rbx same, r12 undefined
                    0x09, 3,    12,   0x14, 3,    2,    0x15,
                    3,    2,    0x10, 3,    2,    0x76, 0x78,  // rbx by expression
                    0x16, 13,   2,    0x76, 0x00}),            // r13 is a value expression
            "0:sp+8, 100:end");
}

TEST(CfiTable, KnowsGccsRealignedFrames) {
  EXPECT_EQ(RowsOf({0x0c, 10,   0,                      // cfa = r10
                    0x45, 0x10, 6, 2,    0x76, 0,       // rbp at *rbp
                    0x44, 0x0f, 3, 0x76, 0x78, 0x06,    // cfa = *(rbp - 8)
                    0x44, 0x0f, 3, 0x76, 0x58, 0x06}),  // cfa = *(rbp - 40)
            "0:r10+0, 5:r10+0, 9:*(fp-8) fp=*fp, d:*(fp-40) fp=*fp, 100:end");
}

TEST(CfiTable, KnowsOpensslsMultiplications) {
  EXPECT_EQ(RowsOf({0x0f, 5,    0x76, 0x58, 0x06, 0x23, 8,  // rbp - 40
                    0x41, 0x0f, 10,   0x77, 8,    0x79, 0, 0x38, 0x1e, 0x22, 0x06, 0x23, 8,  // r9
                    0x41, 0x0f, 10,   0x77, 8,    0x79, 1, 0x38, 0x1e, 0x22, 0x06, 0x23, 8,
                    0x41, 0x0f, 10,   0x77, 8,    0x79, 0, 0x38, 0x1e, 0x22, 0x06, 0x23, 9}),
            "0:*(fp-40)+8, 1:*(sp+8*r9+8)+8, 2:bad, 100:end");
}

TEST(CfiTable, KnowsLinkersPltStubs) {
  for (const std::uint8_t threshold : Bytes{10, 11}) {
    EXPECT_EQ(RowsOf({0x0e, 16, 0x46, 0x0e, 24, 0x4a, 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a,
                      static_cast<std::uint8_t>(0x30 + threshold), 0x2a, 0x33, 0x24, 0x22}),
              "0:sp+16, 6:sp+24, 10:plt" + std::to_string(threshold) + ", 100:end");
  }
  // One byte differs.
  EXPECT_EQ(RowsOf({0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x34, 0x24, 0x22}),
            "0:bad, 100:end");
}

TEST(CfiTable, KnowsASavedStackPointer) {
  EXPECT_EQ(RowsOf({0x0f, 5, 0x77, 16, 0x06, 0x23, 8}), "0:*(sp+16)+8, 100:end");
}

TEST(CfiTable, SaysBadWhereARuleCannotBeEvaluated) {
  EXPECT_EQ(RowsOf({0x0f, 2, 0x50, 0x06}), "0:bad, 100:end") << "unknown expression";
  EXPECT_EQ(RowsOf({0x09, 6, 3}), "0:bad, 100:end") << "rbp is in rbx";
  EXPECT_EQ(RowsOf({0x90, 2}), "0:bad, 100:end") << "return address elsewhere";
  EXPECT_EQ(RowsOf({0x0e, 12}), "0:bad, 100:end") << "not a multiple of 8";
  EXPECT_EQ(RowsOf({0x0e, 0x80, 0x80, 0x10}), "0:bad, 100:end") << "256 KiB do not fit";
  EXPECT_EQ(RowsOf({0x0e, 0xf8, 0xff, 0x0f}), "0:sp+262136, 100:end") << "the largest that fits";
  EXPECT_EQ(RowsOf({0x0d, 17}), "0:bad, 100:end") << "no such register";
  EXPECT_EQ(RowsOf({0x41, 0x16, 6, 1, 0x50}), "0:sp+8, 1:bad, 100:end") << "rbp is computed";
}

TEST(CfiTable, StopsWhereTheReturnAddressIsUndefined) {
  EXPECT_EQ(RowsOf({0x07, 16}), "0:stop, 100:end");
}

TEST(CfiTable, TrustsNothingBehindAnUnknownInstruction) {
  EXPECT_EQ(RowsOf({0x41, 0x0e, 16, 0x41, 0x3f, 0x41, 0x0e, 24}), "0:sp+8, 1:bad, 100:end");
  EXPECT_EQ(RowsOf({0x41, 0x0b, 0x41}), "0:bad, 100:end") << "nothing remembered";
  EXPECT_EQ(RowsOf(Bytes(100, 0x0a)), "0:bad, 100:end") << "remembers more than anyone needs";
  EXPECT_EQ(RowsOf({0x41, 0x0e, 16, 0x41, 0x00, 0x03, 1}), "0:sp+8, 1:sp+16, 2:bad, 100:end")
      << "ends inside an operand";
}

TEST(CfiTable, KeepsRowsInsideTheirFunction) {
  EXPECT_EQ(RowsOf({0x04, 0, 1, 0, 0, 0x0e, 16}), "0:sp+8, 100:end");
  EhFrameBuilder builder;  // 2^32 - 1 times an alignment of 127, three times over
  const std::size_t cie = builder.Cie("zR", {0x1b}, {0x0c, 7, 8, 0x90, 1}, 127);
  builder.Fde(cie, kBase, 0x100,
              {0x04, 0xff, 0xff, 0xff, 0xff, 0x0e, 16, 0x04, 0xff, 0xff, 0xff, 0xff, 0x0e, 24});
  builder.Terminator();
  EXPECT_EQ(Rows(Build(builder.section())), "0:sp+8, 100:end");
}

TEST(CfiTable, EndsCoverageBetweenFunctions) {
  EhFrameBuilder builder;
  const std::size_t cie = builder.Cie();
  builder.Fde(cie, kBase + 0x100, 0x100, {});
  builder.Fde(cie, kBase + 0x300, 0x100, {0x0e, 16});
  builder.Fde(cie, kBase + 0x400, 0x100, {0x0e, 24});
  builder.Terminator();
  EXPECT_EQ(Rows(Build(builder.section())), "100:sp+8, 200:end, 300:sp+16, 400:sp+24, 500:end");
}

TEST(CfiTable, SortsFunctions) {
  EhFrameBuilder builder;
  const std::size_t cie = builder.Cie();
  builder.Fde(cie, kBase + 0x300, 0x100, {0x0e, 16});
  builder.Fde(cie, kBase + 0x100, 0x200, {});
  builder.Terminator();
  EXPECT_EQ(Rows(Build(builder.section())), "100:sp+8, 300:sp+16, 400:end");
}

TEST(CfiTable, OfOverlappingFunctionsTheLaterOneHolds) {
  EhFrameBuilder builder;
  const std::size_t cie = builder.Cie();
  builder.Fde(cie, kBase, 0x100, {0x02, 0x20, 0x0e, 16});
  builder.Fde(cie, kBase + 0x10, 0x10, {0x0e, 24});
  builder.Fde(cie, kBase + 0x10, 0x10, {0x0e, 32});
  builder.Terminator();
  EXPECT_EQ(Rows(Build(builder.section())), "0:sp+8, 10:sp+32, 20:end");
}

TEST(CfiTable, LeavesOutFunctionsThatAreNotInTheCode) {
  EhFrameBuilder builder;
  const std::size_t cie = builder.Cie();
  builder.Fde(cie, 0, 0x100, {});               // thrown away by the linker
  builder.Fde(cie, kBase - 1, 0x100, {});       // begins before the code
  builder.Fde(cie, kLimit - 0xff, 0x100, {});   // ends behind it
  builder.Fde(cie, kBase + 0x10, 0, {});        // empty
  builder.Fde(cie, kLimit - 0x100, 0x100, {});  // just inside
  builder.Terminator();
  EXPECT_EQ(Rows(Build(builder.section())), "4ff00:sp+8, 50000:end");
}

TEST(CfiTable, ReadsEachCie) {
  EhFrameBuilder builder;
  const std::size_t plain = builder.Cie();
  const std::size_t signal = builder.Cie("zRS");
  const std::size_t four = builder.Cie("zR", {0x1b}, {0x0c, 7, 16, 0x90, 1}, 4);
  // Personality (indirect, pcrel, 4 bytes), LSDA, pointers.
  const std::size_t cxx = builder.Cie("zPLR", {0x9b, 1, 2, 3, 4, 0x1b, 0x1b});
  builder.Fde(plain, kBase, 0x100, {0x42, 0x0e, 16});
  builder.Fde(signal, kBase + 0x100, 0x100, {});
  builder.Fde(four, kBase + 0x200, 0x100, {0x42, 0x0e, 24});
  builder.Fde(cxx, kBase + 0x300, 0x100, {0x42, 0x0e, 16}, {5, 6, 7, 8});
  builder.Terminator();
  EXPECT_EQ(Rows(Build(builder.section())),
            "0:sp+8, 2:sp+16, 100:signal, 200:sp+16, 208:sp+24, 300:sp+8, 302:sp+16, 400:end");
}

TEST(CfiTable, GoesWithoutCiesThatItDoesNotUnderstand) {
  EhFrameBuilder builder;
  const std::size_t old = builder.Cie("eh");
  const std::size_t indirect = builder.Cie("zR", {0x9b});
  const std::size_t broken = builder.Cie("zR", {0x1b}, {0x3f});
  const std::size_t good = builder.Cie();
  builder.Fde(old, kBase, 0x100, {});
  builder.Fde(indirect, kBase, 0x100, {});
  builder.Fde(broken, kBase, 0x100, {});
  builder.Fde(good + 4, kBase, 0x100, {});  // no CIE there
  builder.Fde(good, kBase + 0x100, 0x100, {});
  builder.Terminator();
  EXPECT_EQ(Rows(Build(builder.section())), "100:sp+8, 200:end");
}

TEST(CfiTable, GoesWithoutCiesBehindTheMostThatItKeeps) {
  EhFrameBuilder builder;
  std::size_t last = 0;
  for (std::size_t i = 0; i < kMaxCies; ++i) last = builder.Cie();
  const std::size_t behind = builder.Cie();
  builder.Fde(last, kBase, 0x100, {});
  builder.Fde(behind, kBase + 0x100, 0x100, {});
  builder.Fde(last, kBase + 0x200, 0x100, {});
  builder.Terminator();
  const CfiTable table = Build(builder.section());
  EXPECT_EQ(Rows(table), "0:sp+8, 100:end, 200:sp+8, 300:end");
  EXPECT_TRUE(table.complete);
}

TEST(CfiTable, ReadsRecordsWith64BitLength) {
  EhFrameBuilder builder;
  const std::size_t cie = builder.Cie();
  builder.UseLongRecords(true);
  builder.Fde(cie, kBase, 0x100, {0x41, 0x0e, 16});
  builder.Fde(builder.Cie(), kBase + 0x100, 0x100, {});
  builder.Terminator();
  EXPECT_EQ(Rows(Build(builder.section())), "0:sp+8, 1:sp+16, 100:sp+8, 200:end");
}

TEST(CfiTable, ATerminatorEndsTheSectionUnlessTheHeaderKnowsOfMore) {
  EhFrameBuilder builder;
  const std::size_t cie = builder.Cie();
  builder.Fde(cie, kBase, 0x100, {});
  builder.Terminator();
  builder.Fde(cie, kBase + 0x100, 0x100, {0x0e, 16});
  builder.Terminator();
  for (const std::uint64_t count : {0u, 1u}) {
    const CfiTable table = Build(builder.section(count));
    EXPECT_EQ(Rows(table), "0:sp+8, 100:end");
    EXPECT_TRUE(table.complete);
  }
  for (const std::uint64_t count : {2u, 1000u}) {
    const CfiTable table = Build(builder.section(count));
    EXPECT_EQ(Rows(table), "0:sp+8, 100:sp+16, 200:end");
    EXPECT_TRUE(table.complete);
  }
}

TEST(CfiTable, WithoutATerminatorTheCountOfTheHeaderDecides) {
  EhFrameBuilder builder;
  builder.Fde(builder.Cie(), kBase, 0x100, {});
  EXPECT_FALSE(Build(builder.section(0)).complete);
  EXPECT_FALSE(Build(builder.section(2)).complete);
  EXPECT_TRUE(Build(builder.section(1)).complete);
  builder.Raw(Bytes(16, 0xee));  // the next section
  EXPECT_TRUE(Build(builder.section(1)).complete);
  EXPECT_FALSE(Build(builder.section(2)).complete);
  EXPECT_EQ(Rows(Build(builder.section(2))), "0:sp+8, 100:end") << "what was read holds";
}

TEST(CfiTable, SurvivesEveryCutAndEveryChangedByte) {
  EhFrameBuilder builder;
  const std::size_t cie = builder.Cie("zPLR", {0x9b, 1, 2, 3, 4, 0x1b, 0x1b});
  builder.Fde(cie, kBase, 0x100, {0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6}, {5, 6, 7, 8});
  builder.Terminator();
  const Bytes& good = builder.bytes();
  for (std::size_t size = 0; size < good.size(); ++size) {
    const Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_LE(Build({cut.data(), cut.size(), EhFrameBuilder::kAddress, 1}).rows.size(), 4u);
  }
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const std::uint8_t value : Bytes{0x00, 0x7f, 0x80, 0xff}) {
      Bytes changed = good;
      changed[i] = value;
      const CfiTable table = Build({changed.data(), changed.size(), EhFrameBuilder::kAddress, 0});
      for (std::size_t row = 1; row < table.rows.size(); ++row) {
        ASSERT_LT(table.rows[row - 1].pc, table.rows[row].pc);
      }
    }
  }
}

TEST(CfiTable, IndexesRowsByPage) {
  EhFrameBuilder builder;
  const std::size_t cie = builder.Cie();
  builder.Fde(cie, kBase + 0xff00, 0x300, {0x02, 0x80, 0x0e, 16, 0x02, 0xff, 0x0e, 24});
  builder.Fde(cie, kBase + 0x30000, 0x10, {});
  builder.Terminator();
  const CfiTable table = Build(builder.section());
  EXPECT_EQ(Rows(table), "ff00:sp+8, ff80:sp+16, 1007f:sp+24, 10200:end, 30000:sp+8, 30010:end");
  ASSERT_GE(table.pages.size(), 2u);
  for (std::size_t page = 0; page < table.pages.size(); ++page) {
    const auto below = std::count_if(table.rows.begin(), table.rows.end(), [&](const auto& row) {
      return row.pc >> handler::kUnwindPageShift < page;
    });
    EXPECT_EQ(table.pages[page], static_cast<std::uint32_t>(below)) << page;
  }
  EXPECT_EQ(table.pages.back(), table.rows.size());
}

TEST(CfiTable, RegisterRowsKeepTheirShortFramePointerField) {
  EhFrameBuilder builder;
  builder.Fde(builder.Cie(), kBase, 0x100, {0x0c, 13, 0, 0x86, 2, 0x41, 0x86, 0xff, 0x02});
  builder.Terminator();
  const CfiTable table = Build(builder.section());
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_EQ(table.rows[0].rule, PackRegisterRule(handler::kRegister, 13, 0, -2));
  EXPECT_EQ(table.rows[1].rule, PackSpecial(handler::kBad)) << "2,680 bytes do not fit";
}

// As the loader's resolver of lazily bound functions, and a function that it calls.
TEST(CfiTable, SaysWhereTheBaseRegisterIsSavedIfCodeNeedsIt) {
  EhFrameBuilder builder;
  const std::size_t cie = builder.Cie();
  builder.Fde(cie, kBase, 0x100, {0x44, 0x0e, 56, 0x83, 7, 0x4c, 0x0d, 3, 0x60, 0xc3, 0x0c, 7, 8});
  builder.Fde(cie, kBase + 0x100, 0x100, {0x41, 0x0e, 16, 0x83, 2, 0x48, 0x16, 3, 2, 0x76, 0});
  builder.Terminator();
  const CfiTable table = Build(builder.section());
  EXPECT_EQ(Rows(table), "0:sp+8, 4:sp+56, 10:r3+56, 30:sp+8, 101:sp+16, 200:end");
  const auto saved = [](std::int32_t slot) { return PackRule(handler::kSp, 0, slot); };
  const std::vector<std::pair<std::uint32_t, std::uint32_t>> expected = {
      {0, saved(kFpSame)},
      {4, saved(-7)},
      {0x30, saved(kFpSame)},
      {0x101, saved(-2)},
      {0x109, PackSpecial(handler::kEnd)}};
  ASSERT_EQ(table.base_rows.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(table.base_rows[i].pc, expected[i].first);
    EXPECT_EQ(table.base_rows[i].rule, expected[i].second) << i;
  }
}

TEST(CfiTable, HasNoRowsOfTheBaseRegisterOtherwise) {
  EhFrameBuilder builder;
  builder.Fde(builder.Cie(), kBase, 0x100, {0x44, 0x0e, 56, 0x83, 7, 0x4c, 0x0d, 6});
  builder.Terminator();
  EXPECT_TRUE(Build(builder.section()).base_rows.empty());
}

TEST(EhFrameHeader, SaysWhereTheSectionIs) {
  const Bytes header = {1, 0x1b, 0x03, 0x3b, 0x10, 0, 0, 0, 7, 0, 0, 0, 1, 2, 3};
  const EhFrameHeader read = ReadEhFrameHeader(header.data(), header.size(), 0x5000);
  EXPECT_EQ(read.section, 0x5014u);
  EXPECT_EQ(read.fde_count, 7u);
}

TEST(EhFrameHeader, NeedsNoTable) {
  const Bytes header = {1, 0x1b, 0xff, 0xff, 0xf0, 0xff, 0xff, 0xff};
  const EhFrameHeader read = ReadEhFrameHeader(header.data(), header.size(), 0x5000);
  EXPECT_EQ(read.section, 0x4ff4u);
  EXPECT_EQ(read.fde_count, 0u);
}

TEST(EhFrameHeader, RefusesWhatItDoesNotKnow) {
  for (const Bytes& header :
       {Bytes{}, Bytes{1, 0x1b, 3}, Bytes{2, 0x1b, 3, 0x3b, 1, 0, 0, 0},
        Bytes{1, 0x1b, 3, 0x3b, 1, 0}, Bytes{1, 0x9b, 3, 0x3b, 1, 0, 0, 0},
        Bytes{1, 0x3b, 3, 0x3b, 1, 0, 0, 0}, Bytes{1, 0xff, 3, 0x3b, 1, 0, 0, 0}}) {
    EXPECT_EQ(ReadEhFrameHeader(header.data(), header.size(), 0x5000).section, 0u);
  }
}

}  // namespace
}  // namespace pprof::unwind
