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

using Storage = nostd::shared_ptr<context::RuntimeContextStorage>;

// A storage of the application's own over another.
class OtherStorage final : public context::RuntimeContextStorage {
 public:
  explicit OtherStorage(Storage below) : below_(below) {}
  context::Context GetCurrent() noexcept override { return below_->GetCurrent(); }
  nostd::unique_ptr<context::Token> Attach(const context::Context& context) noexcept override {
    return below_->Attach(context);
  }
  bool Detach(context::Token& token) noexcept override { return below_->Detach(token); }

 private:
  const Storage below_;
};

const context::RuntimeContextStorage* Installed() {
  return context::RuntimeContext::GetConstRuntimeContextStorage().get();
}

void SetStorageOver(const Storage& below) {
  context::RuntimeContext::SetRuntimeContextStorage(Storage(new OtherStorage(below)));
}
void SetOtherStorage() { SetStorageOver(Storage(new context::ThreadLocalContextStorage)); }

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
    SetOtherStorage();
    const auto* theirs = Installed();
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
    SetOtherStorage();
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
        SetOtherStorage();
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
    // The API hands it out as const; it never goes.
    auto* ours = const_cast<context::RuntimeContextStorage*>(Installed());
    SetStorageOver(Storage(std::shared_ptr<context::RuntimeContextStorage>(
        ours, [](context::RuntimeContextStorage*) {})));
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

bool g_freed = false;

class FreedStorage final : public context::RuntimeContextStorage {
 public:
  ~FreedStorage() override { g_freed = true; }
  context::Context GetCurrent() noexcept override { return below_.GetCurrent(); }
  nostd::unique_ptr<context::Token> Attach(const context::Context& context) noexcept override {
    return below_.Attach(context);
  }
  bool Detach(context::Token& token) noexcept override { return below_.Detach(token); }

 private:
  context::ThreadLocalContextStorage below_;
};

// Another thread may be inside either of them when the API's pointer changes.
TEST(Replaced, NeitherTheStorageBeforeNorOursIsFreed) {
  InFreshProcess([] {
    context::RuntimeContext::SetRuntimeContextStorage(Storage(new FreedStorage));
    Program program;
    EXPECT_FALSE(g_freed);
    auto* ours = const_cast<context::RuntimeContextStorage*>(Installed());
    SetOtherStorage();
    EXPECT_FALSE(g_freed);
    EXPECT_TRUE(ours->GetCurrent() == context::Context()) << "both are still there";
  });
}

TEST(Replaced, AfterAnApplicationsStorageWasDecorated) {
  InFreshProcess([] {
    SetOtherStorage();
    Program program;
    const Span root = program.Start("root");
    const trace::Scope scope(root);
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
    SetOtherStorage();
    program.Start("next");
    EXPECT_EQ(Lost(), 1u);
    EXPECT_TRUE(Unlabelled());
  });
}

}  // namespace
}  // namespace otelpyroscope_test
