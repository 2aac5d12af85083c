// Walks real stacks at every instruction that code of several compilers and options executes, and
// compares with what libgcc's unwinder says, which shares nothing with ours. aarch64 lets no
// process step itself: so each instruction is a breakpoint, which is taken away when it strikes.
#include <elf.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unwind.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "src/pprof/unwind/shapes.h"

namespace pprof::unwind {
namespace {

constexpr std::uint32_t kBrk = 0xd4200000;
constexpr std::uint32_t kMaxFrames = 256;

struct Frames {
  std::uint64_t pcs[kMaxFrames];
  std::uint32_t count = 0;
};

// What the trap handler works with.
struct Stepper {
  std::uint32_t* code = nullptr;
  std::vector<std::uint32_t> instructions;  // as they were, from `code` on
  handler::StackBounds stack;
  std::uint64_t stops = 0;
  std::uint64_t in_leaves = 0;  // the return address was in x30
  std::uint64_t signed_stops = 0;
  std::vector<std::string> wrong;
};
Stepper g_stepper;

_Unwind_Reason_Code OnFrame(_Unwind_Context* context, void* argument) {
  auto& frames = *static_cast<Frames*>(argument);
  int exact = 0;
  const std::uint64_t pc = _Unwind_GetIPInfo(context, &exact);
  if (pc == 0 || frames.count == kMaxFrames) return _URC_END_OF_STACK;
  frames.pcs[frames.count++] = exact != 0 ? pc : pc - 1;
  return _URC_NO_REASON;
}

// libgcc's frames from the interrupted one on; it begins in the trap handler.
Frames AskLibgcc(std::uint64_t pc) {
  Frames all;
  _Unwind_Backtrace(OnFrame, &all);
  Frames frames;
  const std::uint64_t* const end = all.pcs + all.count;
  const std::uint64_t* const from = std::find(static_cast<const std::uint64_t*>(all.pcs), end, pc);
  frames.count = static_cast<std::uint32_t>(std::copy(from, end, frames.pcs) - frames.pcs);
  return frames;
}

std::string Text(const Frames& frames) {
  std::string text;
  for (std::uint32_t i = 0; i < frames.count && i < 8; ++i) {
    Dl_info info = {};
    dladdr(reinterpret_cast<void*>(frames.pcs[i]), &info);
    char line[300];
    std::snprintf(
        line, sizeof line, " %s+0x%llx",
        info.dli_fname == nullptr ? "?" : std::filesystem::path(info.dli_fname).filename().c_str(),
        static_cast<unsigned long long>(frames.pcs[i]) -
            reinterpret_cast<unsigned long long>(info.dli_fbase));
    text += line;
  }
  return text;
}

void OnTrap(int, siginfo_t*, void* argument) {
  const auto& context = *static_cast<const ucontext_t*>(argument);
  Stepper& stepper = g_stepper;
  auto* const at = reinterpret_cast<std::uint32_t*>(context.uc_mcontext.pc);
  *at = stepper.instructions[static_cast<std::size_t>(at - stepper.code)];
  __builtin___clear_cache(reinterpret_cast<char*>(at), reinterpret_cast<char*>(at + 1));
  ++stepper.stops;
  Frames ours;
  const handler::WalkResult result = handler::Walk(context, stepper.stack, ours.pcs, kMaxFrames);
  ours.count = result.frames;
  const std::uint64_t lr = context.uc_mcontext.regs[30];
  if (ours.count > 1 && ours.pcs[1] == lr - 1) ++stepper.in_leaves;
  if (lr >> 48 != 0) ++stepper.signed_stops;
  const Frames theirs = AskLibgcc(context.uc_mcontext.pc);
  const bool same =
      ours.count == theirs.count && std::equal(ours.pcs, ours.pcs + ours.count, theirs.pcs);
  if (same && result.end == handler::WalkEnd::kComplete) return;
  stepper.wrong.push_back("end " + std::to_string(static_cast<int>(result.end)) + ", ours" +
                          Text(ours) + "\n    libgcc" + Text(theirs));
}

// The section's place in a library that is loaded at `bias`; {0, 0}: it has none.
struct Span {
  std::uint64_t start = 0;
  std::uint64_t size = 0;
};
Span SectionOf(const std::string& path, const std::string& name, std::uint64_t bias) {
  std::ifstream stream(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  const auto* const header = reinterpret_cast<const Elf64_Ehdr*>(bytes.data());
  const auto* const sections = reinterpret_cast<const Elf64_Shdr*>(bytes.data() + header->e_shoff);
  const char* const names = bytes.data() + sections[header->e_shstrndx].sh_offset;
  for (int i = 0; i < header->e_shnum; ++i) {
    if (name == names + sections[i].sh_name)
      return {bias + sections[i].sh_addr, sections[i].sh_size};
  }
  return {};
}

void SetBreakpoints(Span text) {
  const std::uint64_t page = 65536;
  const std::uint64_t start = text.start & ~(page - 1);
  const std::uint64_t size = text.start + text.size - start;
  ASSERT_EQ(mprotect(reinterpret_cast<void*>(start & ~std::uint64_t{4095}), size,
                     PROT_READ | PROT_WRITE | PROT_EXEC),
            0);
  g_stepper.code = reinterpret_cast<std::uint32_t*>(text.start);
  g_stepper.instructions.assign(g_stepper.code, g_stepper.code + text.size / 4);
  std::fill(g_stepper.code, g_stepper.code + text.size / 4, kBrk);
  __builtin___clear_cache(reinterpret_cast<char*>(text.start),
                          reinterpret_cast<char*>(text.start + text.size));
}

void RemoveBreakpoints() {
  std::copy(g_stepper.instructions.begin(), g_stepper.instructions.end(), g_stepper.code);
  __builtin___clear_cache(reinterpret_cast<char*>(g_stepper.code),
                          reinterpret_cast<char*>(g_stepper.code + g_stepper.instructions.size()));
}

class StackStep : public testing::TestWithParam<std::string> {};

TEST_P(StackStep, EveryInstructionAgreesWithLibgcc) {
  const std::string path = std::string(SHAPES_DIR) + "/" + GetParam();
  const Library library(path);
  const auto run = library.Find<long (*)()>("RunShapes");
  ASSERT_NE(run, nullptr);
  run();  // binds its calls
  Registry().Refresh();
  Dl_info info = {};
  ASSERT_NE(dladdr(reinterpret_cast<void*>(run), &info), 0);
  const Span text = SectionOf(path, ".text", reinterpret_cast<std::uint64_t>(info.dli_fbase));
  ASSERT_GT(text.size, 1000u);
  struct sigaction action = {};
  action.sa_sigaction = OnTrap;
  action.sa_flags = SA_SIGINFO;
  ASSERT_EQ(sigaction(SIGTRAP, &action, nullptr), 0);
  g_stepper = {};
  g_stepper.stack = OwnStack();
  SetBreakpoints(text);
  run();
  RemoveBreakpoints();
  signal(SIGTRAP, SIG_DFL);
  std::printf("  %llu stops, %llu with the return address in x30, %llu with a signed one there\n",
              static_cast<unsigned long long>(g_stepper.stops),
              static_cast<unsigned long long>(g_stepper.in_leaves),
              static_cast<unsigned long long>(g_stepper.signed_stops));
  EXPECT_GT(g_stepper.stops, 700u);
  EXPECT_GT(g_stepper.in_leaves, 50u);
  EXPECT_TRUE(g_stepper.wrong.empty()) << g_stepper.wrong.size() << " walks differ";
  for (std::size_t i = 0; i < std::min<std::size_t>(5, g_stepper.wrong.size()); ++i) {
    std::printf("  %s\n", g_stepper.wrong[i].c_str());
  }
}

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const std::string& path : ShapeLibraries()) {
    names.push_back(std::filesystem::path(path).filename());
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Shapes, StackStep, testing::ValuesIn(Names()), [](const auto& shape) {
  std::string name = shape.param.substr(0, shape.param.size() - 3);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace pprof::unwind
