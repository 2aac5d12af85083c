// Storages that are set after ours: noticed, said once, counted, never undone.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <pprof/log.h>
#include <pprof/stats.h>

#include "tests/otelpyroscope/fresh_process.h"
#include "tests/otelpyroscope/traced_program.h"

namespace otelpyroscope_test {
namespace {

// Uses the storage before it, or the API's default one.
class OtherStorage final : public context::RuntimeContextStorage {
 public:
  explicit OtherStorage(context::RuntimeContextStorage* before) : before_(before) {}
  context::Context GetCurrent() noexcept override { return before_->GetCurrent(); }
  nostd::unique_ptr<context::Token> Attach(const context::Context& context) noexcept override {
    return before_->Attach(context);
  }
  bool Detach(context::Token& token) noexcept override { return before_->Detach(token); }

 private:
  context::RuntimeContextStorage* const before_;
};

context::RuntimeContextStorage* Installed() {
  return const_cast<context::RuntimeContextStorage*>(
      context::RuntimeContext::GetConstRuntimeContextStorage().get());
}

void SetStorage(context::RuntimeContextStorage* storage) {
  context::RuntimeContext::SetRuntimeContextStorage(
      nostd::shared_ptr<context::RuntimeContextStorage>(storage));
}

std::uint64_t Lost() { return pprof::ReadStats().context_storage_lost; }

std::atomic<int> g_lines{0};

void CountLogLines() {
  pprof::SetLogHandler([](pprof::LogLevel, std::string_view line) {
    if (line.find("storage was replaced") != line.npos) ++g_lines;
  });
}

TEST(Replaced, IsSaidOnceAndNeverUndone) {
  InFreshProcess([] {
    CountLogLines();
    Program program;
    EXPECT_EQ(Lost(), 0u);
    auto* theirs = new OtherStorage(new context::ThreadLocalContextStorage);
    SetStorage(theirs);
    EXPECT_FALSE(otelpyroscope::ContextStorageInstalled());
    EXPECT_FALSE(otelpyroscope::InstallContextStorage());
    for (int i = 0; i < 3; ++i) {
      const Span root = program.Start("root");
      const trace::Scope scope(root);
      EXPECT_TRUE(Unlabelled());
    }
    EXPECT_EQ(Installed(), theirs);
    EXPECT_EQ(Lost(), 1u);
    EXPECT_EQ(g_lines.load(), 1);
  });
}

TEST(Replaced, IsNoticedWhileASpanOfOursIsCurrent) {
  InFreshProcess([] {
    Program program;
    const Span root = program.Start("root");
    const trace::Scope scope(root);
    SetStorage(new OtherStorage(new context::ThreadLocalContextStorage));
    EXPECT_EQ(SpanIdLabel(), IdOf(root)) << "nothing of ours was called yet";
    const Span next = program.Start("next");
    EXPECT_EQ(Lost(), 1u);
    EXPECT_TRUE(Unlabelled()) << "what was attached to our storage is never detached";
    EXPECT_NE(TraceOf(next), TraceOf(root)) << "the SDK asked the other storage";
    const trace::Scope inner(next);
    const Span child = program.Start("child");
    const otelpyroscope::SpanGuard guard(child);
    EXPECT_EQ(SpanIdLabel(), IdOf(next)) << "parents are found in the other storage";
    EXPECT_EQ(Lost(), 1u);
  });
}

TEST(Replaced, EachThreadLosesItsLabels) {
  InFreshProcess([] {
    Program program;
    std::thread([&] {
      const Span root = program.Start("root");
      const trace::Scope scope(root);
      std::thread([&] {
        SetStorage(new OtherStorage(new context::ThreadLocalContextStorage));
        program.Start("elsewhere");
        EXPECT_EQ(Lost(), 1u);
      }).join();
      EXPECT_EQ(SpanIdLabel(), IdOf(root));
      program.Start("here");
      EXPECT_TRUE(Unlabelled());
      EXPECT_EQ(Lost(), 1u);
    }).join();
  });
}

TEST(Replaced, StorageThatUsesOursLosesNothing) {
  InFreshProcess([] {
    CountLogLines();
    Program program;
    const Span root = program.Start("root");
    const trace::Scope scope(root);
    SetStorage(new OtherStorage(Installed()));
    EXPECT_TRUE(otelpyroscope::ContextStorageInstalled());
    EXPECT_TRUE(otelpyroscope::InstallContextStorage());
    const Span child = program.Start("child");
    const trace::Scope inner(child);
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
    EXPECT_EQ(Hex(pprof::CurrentTraceContext()->span_id), IdOf(child));
    EXPECT_EQ(Lost(), 0u);
    EXPECT_EQ(g_lines.load(), 0);
  });
}

TEST(Replaced, AfterAnApplicationsStorageWasDecorated) {
  InFreshProcess([] {
    SetStorage(new OtherStorage(new context::ThreadLocalContextStorage));
    Program program;
    const Span root = program.Start("root");
    const trace::Scope scope(root);
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
    SetStorage(new OtherStorage(new context::ThreadLocalContextStorage));
    program.Start("next");
    EXPECT_EQ(Lost(), 1u);
    EXPECT_TRUE(Unlabelled());
  });
}

}  // namespace
}  // namespace otelpyroscope_test
