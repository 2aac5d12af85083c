// Whose memory a span lies in: a thread keeps the block of the last span that it freed for the next
// that it starts, one block and no longer than it lives.
//
// The linker gives this file's functions for the forms of operator new and delete that the bridge
// uses (--wrap); they count its blocks.
#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/otelpyroscope/fresh_process.h"
#include "tests/otelpyroscope/traced_program.h"

namespace {

using otelpyroscope::internal::kReuseMemory;

constexpr std::size_t kSpanRoom =
    otelpyroscope::internal::kRoomFor<otelpyroscope::internal::ProfiledSpan>;

std::mutex g_mutex;
void* g_live[4096];  // blocks of spans
std::size_t g_live_count = 0;
int g_made = 0;

void Note(void* block) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  ++g_made;
  if (g_live_count == 4096) std::abort();
  g_live[g_live_count++] = block;
}

void Forget(void* block) {
  const std::lock_guard<std::mutex> lock(g_mutex);
  void** const end = g_live + g_live_count;
  void** const found = std::find(g_live, end, block);
  if (found == end) return;
  *found = end[-1];
  --g_live_count;
}

int Made() {
  const std::lock_guard<std::mutex> lock(g_mutex);
  return g_made;
}
std::size_t Live() {
  const std::lock_guard<std::mutex> lock(g_mutex);
  return g_live_count;
}

}  // namespace

extern "C" {
void* __real__ZnwmRKSt9nothrow_t(std::size_t size, const std::nothrow_t& tag) noexcept;
void __real__ZdlPv(void* block) noexcept;

void* __wrap__ZnwmRKSt9nothrow_t(std::size_t size, const std::nothrow_t& tag) noexcept {
  void* const block = __real__ZnwmRKSt9nothrow_t(size, tag);
  if (size == kSpanRoom && block != nullptr) Note(block);
  return block;
}
void __wrap__ZdlPv(void* block) noexcept {
  if (block != nullptr) Forget(block);
  __real__ZdlPv(block);
}
}  // extern "C"

namespace otelpyroscope_test {
namespace {

// In a thread of its own, under a root.
template <class F>
void UnderARoot(Program& program, F work) {
  std::thread([&] {
    const Span root = program.Start("root");
    const trace::Scope scope(root);
    work();
  }).join();
}

TEST(SpanMemory, OneChildAfterAnotherUsesTheSameBlock) {
  InFreshProcess([] {
    Program program;
    UnderARoot(program, [&] {
      const int before = Made();
      for (int i = 0; i < 100; ++i) {
        const Span child = program.Start("child");
        const trace::Scope scope(child);
      }
      EXPECT_EQ(Made() - before, kReuseMemory ? 1 : 100);
    });
  });
}

TEST(SpanMemory, AThreadKeepsOneBlock) {
  InFreshProcess([] {
    Program program;
    UnderARoot(program, [&] {
      std::vector<Span> children;
      for (int i = 0; i < 100; ++i) children.push_back(program.Start("child"));
      EXPECT_EQ(Live(), 100U);
      children.clear();
      EXPECT_EQ(Live(), kReuseMemory ? 1U : 0U);
    });
  });
}

TEST(SpanMemory, TheBlockGoesWithTheThread) {
  InFreshProcess([] {
    Program program;
    UnderARoot(program, [&] { program.Start("child"); });
    EXPECT_GT(Made(), 0);
    EXPECT_EQ(Live(), 0U);
  });
}

// Constructed before anything of OpenTelemetry on its thread, so destroyed after the thread's
// contexts are gone and after its block.
struct LateSpans {
  ~LateSpans() {
    kept = Span();
    if (program != nullptr) program->Start("late", parent);
  }
  Program* program = nullptr;
  context::Context parent;
  Span kept;
};
thread_local LateSpans t_late_spans;

TEST(SpanMemory, NothingIsKeptOnceTheThreadHasEnded) {
  InFreshProcess([] {
    Program program;
    std::thread([&] {
      LateSpans& late = t_late_spans;
      const Span root = program.Start("root");
      const trace::Scope scope(root);
      late.kept = program.Start("kept");
      late.parent = context::RuntimeContext::GetCurrent();
      late.program = &program;
    }).join();
    EXPECT_EQ(program.Ended("kept").name, "kept");
    EXPECT_EQ(program.Ended("late").name, "late");
    EXPECT_GT(Made(), 0);
    EXPECT_EQ(Live(), 0U);
  });
}

// A pool's thread that never ran a span has nothing that would end with it.
TEST(SpanMemory, AThreadWithoutAContextKeepsNothing) {
  InFreshProcess([] {
    Program program;
    UnderARoot(program, [&] {
      Span child = program.Start("child");
      std::thread([&] {
        child = Span();
        EXPECT_EQ(Live(), 0U);
      }).join();
    });
  });
}

}  // namespace
}  // namespace otelpyroscope_test
