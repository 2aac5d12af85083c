// What call-frame instructions of aarch64 become. The reading of sections, which all architectures
// share: cfi_table_test.cc.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "src/pprof/handler/walk_aarch64.h"
#include "src/pprof/unwind/cfi_table.h"
#include "src/pprof/unwind/eh_frame_builder.h"

namespace pprof::unwind {
namespace {

using Bytes = EhFrameBuilder::Bytes;

constexpr std::uint64_t kBase = 0x10000;
constexpr std::uint64_t kLimit = 0x60000;

std::string SlotText(const char* name, const char* anchor, std::uint32_t slot, bool above) {
  if (slot == handler::kInPlace) return "";
  const std::uint32_t bytes = (above ? slot - 1 : slot) * 8;
  return std::string(" ") + name + "=" + anchor + (above ? "+" : "-") + std::to_string(bytes);
}

std::string RuleText(std::uint32_t rule) {
  const std::uint32_t units = handler::CfaUnitsOf(rule);
  const auto kind = handler::KindOf(rule);
  if (kind == handler::kSpecial) {
    static const char* const kNames[] = {"end", "stop", "signal", "bad"};
    return kNames[units];
  }
  const bool above = kind == handler::kSpAboveSp || kind == handler::kFpAboveFp;
  const char* const base =
      kind == handler::kSpBelowCfa || kind == handler::kSpAboveSp ? "sp" : "fp";
  return base + ("+" + std::to_string(units * 16)) +
         SlotText("fp", above ? base : "cfa", handler::FpSlotOf(rule), above) +
         SlotText("lr", above ? base : "cfa", handler::ReturnSlotOf(rule), above);
}

// "pc:rule" for each row of one function of 0x100 bytes at the base.
std::string RowsOf(const Bytes& program, const std::string& augmentation = "zR") {
  EhFrameBuilder builder;
  // CFA = sp; the return address is in x30.
  builder.Fde(builder.Cie(augmentation, {0x1b}, {0x0c, 31, 0}, 4, 30), kBase, 0x100, program);
  builder.Terminator();
  const CfiTable table = BuildCfiTable(builder.section(), kBase, kBase, kLimit);
  EXPECT_TRUE(table.complete);
  EXPECT_TRUE(table.base_rows.empty());
  std::string text;
  for (const handler::UnwindRow& row : table.rows) {
    char pc[16];
    std::snprintf(pc, sizeof pc, "%x:", row.pc);
    text += (text.empty() ? "" : ", ") + std::string(pc) + RuleText(row.rule);
  }
  return text;
}

TEST(CfiTableAarch64, CompilesWhatGccWrites) {
  EXPECT_EQ(RowsOf({0x41, 0x0e, 32, 0x9d, 4, 0x9e, 3,  // stp x29, x30, [sp, -32]!
                    0x4a, 0xde, 0xdd, 0x0e, 0}),       // ldp x29, x30, [sp], 32
            "0:sp+0, 4:sp+32 fp=cfa-32 lr=cfa-24, 2c:sp+0, 100:end");
}

TEST(CfiTableAarch64, CompilesWhatClangWrites) {
  EXPECT_EQ(RowsOf({0x42, 0x0c, 29, 16, 0x9e, 1, 0x9d, 2}),  // add x29, sp, 16
            "0:sp+0, 8:fp+16 fp=cfa-16 lr=cfa-8, 100:end");
}

TEST(CfiTableAarch64, KeepsALeafInItsRegister) { EXPECT_EQ(RowsOf({}), "0:sp+0, 100:end"); }

TEST(CfiTableAarch64, CountsFromTheOtherEndOfLargeFrames) {
  // sub sp, sp, 0x11170; stp x29, x30, [sp, 16]: 8748 slots below the CFA, two above sp.
  EXPECT_EQ(RowsOf({0x41, 0x0e, 0xf0, 0xa2, 0x04, 0x9d, 0xac, 0x44, 0x9e, 0xab, 0x44}),
            "0:sp+0, 4:sp+70000 fp=sp+16 lr=sp+24, 100:end");
  EXPECT_EQ(RowsOf({0x41, 0x0e, 0xf0, 0xa2, 0x04, 0x9d, 0xac, 0x44, 0x9e, 1}),
            "0:sp+0, 4:bad, 100:end")
      << "one at each end";
}

TEST(CfiTableAarch64, IgnoresWhetherReturnAddressesAreSigned) {
  EXPECT_EQ(RowsOf({0x41, 0x2d, 0x41, 0x0e, 16, 0x9d, 2, 0x9e, 1, 0x42, 0x2d, 0xdd, 0xde, 0x0e, 0},
                   "zRB"),
            "0:sp+0, 8:sp+16 fp=cfa-16 lr=cfa-8, 10:sp+0, 100:end");
  EXPECT_EQ(RowsOf({0x41, 0x2c, 0x41, 0x0e, 16}), "0:sp+0, 8:sp+16, 100:end");
}

TEST(CfiTableAarch64, SavesX30Alone) {
  EXPECT_EQ(RowsOf({0x41, 0x0e, 16, 0x9e, 2}), "0:sp+0, 4:sp+16 lr=cfa-16, 100:end");
}

TEST(CfiTableAarch64, KnowsEntriesAndSignalFrames) {
  EXPECT_EQ(RowsOf({0x07, 30}), "0:stop, 100:end");
  EXPECT_EQ(RowsOf({}, "zRS"), "0:signal, 100:end");
}

TEST(CfiTableAarch64, PutsX30BackIntoItsRegister) {
  EXPECT_EQ(RowsOf({0x0e, 16, 0x9e, 2, 0x41, 0x08, 30}), "0:sp+16 lr=cfa-16, 4:sp+16, 100:end");
}

TEST(CfiTableAarch64, RefusesWhatItDoesNotEvaluate) {
  EXPECT_EQ(RowsOf({0x0c, 9, 16}), "0:bad, 100:end") << "the CFA is in x9";
  EXPECT_EQ(RowsOf({0x0e, 8}), "0:bad, 100:end") << "half a unit";
  EXPECT_EQ(RowsOf({0x0e, 0x80, 0x80, 0x80, 0x01}), "0:bad, 100:end") << "2 MiB";
  EXPECT_EQ(RowsOf({0x09, 30, 9}), "0:bad, 100:end") << "x30 is in x9";
  EXPECT_EQ(RowsOf({0x09, 29, 9}), "0:bad, 100:end") << "x29 is in x9";
  EXPECT_EQ(RowsOf({0x0e, 16, 0x9e, 0}), "0:bad, 100:end") << "x30 at the CFA";
}

}  // namespace
}  // namespace pprof::unwind
