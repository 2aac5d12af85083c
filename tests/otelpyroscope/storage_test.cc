// The context storage in the life of a process: installation, threads and their ends, fork, and
// storages that are not ours. One process a test where the installation itself is tested.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <opentelemetry/trace/noop.h>

#include "tests/otelpyroscope/fresh_process.h"
#include "tests/otelpyroscope/traced_program.h"

namespace otelpyroscope_test {
namespace {

// A storage as an application might write: one current context a thread, and a switch that goes
// around Attach and Detach.
class SwitchingStorage final : public context::RuntimeContextStorage {
 public:
  context::Context GetCurrent() noexcept override {
    return Stack().empty() ? context::Context() : Stack().back();
  }
  nostd::unique_ptr<context::Token> Attach(const context::Context& context) noexcept override {
    Stack().push_back(context);
    return CreateToken(context);
  }
  bool Detach(context::Token& token) noexcept override {
    if (Stack().empty() || !(token == Stack().back())) return false;
    Stack().pop_back();
    return true;
  }
  void Switch(std::vector<context::Context>& other) { std::swap(Stack(), other); }

 private:
  static std::vector<context::Context>& Stack() {
    static thread_local std::vector<context::Context> stack;
    return stack;
  }
};

void SetStorage(context::RuntimeContextStorage* storage) {
  context::RuntimeContext::SetRuntimeContextStorage(
      nostd::shared_ptr<context::RuntimeContextStorage>(storage));
}

// Makes a span current that nobody will detach: the token is destroyed on another thread.
void MakeCurrentForGood(const Span& span) {
  auto token = context::RuntimeContext::Attach(
      context::RuntimeContext::GetCurrent().SetValue(trace::kSpanKey, span));
  std::thread([&] { token.reset(); }).join();
  EXPECT_EQ(trace::Tracer::GetCurrentSpan(), span);
}

TEST(Storage, LateInstallationTakesOverWhatIsAttached) {
  InFreshProcess([] {
    const std::shared_ptr<trace::TracerProvider> plain = sdk::TracerProviderFactory::Create(
        std::make_unique<KeepingProcessor>(std::make_shared<EndedSpans>()));
    EXPECT_FALSE(otelpyroscope::ContextStorageInstalled());
    const Span early = plain->GetTracer("early")->StartSpan("early");
    {
      const trace::Scope scope(early);
      const auto empty = context::RuntimeContext::Attach(context::Context());
      const trace::Scope again(early);
      Program program;
      EXPECT_TRUE(otelpyroscope::ContextStorageInstalled());
      EXPECT_EQ(trace::Tracer::GetCurrentSpan(), early);
      EXPECT_EQ(SpanIdLabel(), IdOf(early));
    }
    EXPECT_TRUE(context::RuntimeContext::GetCurrent() == context::Context());
    EXPECT_TRUE(Unlabelled());
  });
}

TEST(Storage, OtherThreadsAreTakenOverToo) {
  InFreshProcess([] {
    const std::shared_ptr<trace::TracerProvider> plain = sdk::TracerProviderFactory::Create(
        std::make_unique<KeepingProcessor>(std::make_shared<EndedSpans>()));
    std::thread([&] {
      const Span early = plain->GetTracer("early")->StartSpan("early");
      {
        const trace::Scope scope(early);
        std::thread([] { EXPECT_TRUE(otelpyroscope::InstallContextStorage()); }).join();
        EXPECT_EQ(trace::Tracer::GetCurrentSpan(), early);
        EXPECT_EQ(SpanIdLabel(), IdOf(early));
      }
      EXPECT_TRUE(context::RuntimeContext::GetCurrent() == context::Context());
      EXPECT_TRUE(Unlabelled());
    }).join();
  });
}

TEST(Storage, WrappingAgainInstallsNothingAgain) {
  InFreshProcess([] {
    Program program;
    const auto before = context::RuntimeContext::GetConstRuntimeContextStorage();
    const auto again = otelpyroscope::NewTracerProvider(program.wrapped);
    EXPECT_EQ(context::RuntimeContext::GetConstRuntimeContextStorage(), before);
    EXPECT_EQ(otelpyroscope::Unwrap(again).get(), program.provider.get());
  });
}

TEST(Storage, ApplicationStorageIsFollowed) {
  InFreshProcess([] {
    auto* theirs = new SwitchingStorage;
    SetStorage(theirs);
    Program program;
    EXPECT_TRUE(otelpyroscope::ContextStorageInstalled());
    const Span first = program.Start("first");
    const Span second = program.Start("second");
    std::vector<context::Context> task;
    {
      const trace::Scope outer(first);
      EXPECT_EQ(SpanIdLabel(), IdOf(first));
      {
        const otelpyroscope::SpanGuard guard(second);
        { const trace::Scope inner(first); }
        EXPECT_EQ(SpanIdLabel(), IdOf(second));
      }
      theirs->Switch(task);
      otelpyroscope::SyncCurrent();
      EXPECT_TRUE(Unlabelled());
      {
        const trace::Scope other(second);
        EXPECT_EQ(SpanIdLabel(), IdOf(second));
      }
      EXPECT_TRUE(Unlabelled());
      theirs->Switch(task);
      otelpyroscope::SyncCurrent();
      EXPECT_EQ(SpanIdLabel(), IdOf(first));
      const Span child = program.Start("child");
      const trace::Scope inner(child);
      EXPECT_EQ(SpanIdLabel(), IdOf(first));
    }
    EXPECT_TRUE(Unlabelled());
  });
}

TEST(Storage, ScopeDroppedOnAnotherThreadChangesNothingThere) {
  Program program;
  const Span root = program.Start("root");
  auto scope = std::make_unique<trace::Scope>(root);
  std::thread([&] {
    const Span other = program.Start("other");
    const trace::Scope covering(other);
    scope.reset();
    EXPECT_EQ(SpanIdLabel(), IdOf(other));
  }).join();
  EXPECT_EQ(SpanIdLabel(), IdOf(root)) << "as with the default storage, where it stays current";
  auto token = context::RuntimeContext::Attach(context::RuntimeContext::GetCurrent());
  context::RuntimeContext::Detach(*token);
  context::RuntimeContext::Detach(*token);
  EXPECT_TRUE(Unlabelled());
}

TEST(Storage, OuterScopeDroppedFirstTakesTheInnerAlong) {
  Program program;
  const Span root = program.Start("root");
  auto outer = std::make_unique<trace::Scope>(root);
  const Span child = program.Start("child");
  const trace::Scope inner(child);
  outer.reset();
  EXPECT_TRUE(Unlabelled());
  EXPECT_FALSE(trace::Tracer::GetCurrentSpan()->GetContext().IsValid());
}

// Attaches in its destructor, which runs after the storage's own end of thread if it was made
// first.
struct LateUser {
  ~LateUser() {
    if (tracer.get() == nullptr) return;
    const Span span = tracer->StartSpan("late");
    const trace::Scope scope(span);
    EXPECT_EQ(trace::Tracer::GetCurrentSpan(), span);
    MakeCurrentForGood(tracer->StartSpan("late and kept"));
  }
  nostd::shared_ptr<trace::Tracer> tracer;
};

TEST(Storage, ThreadEndReleasesContextsThatAreStillAttached) {
  Program program;
  std::thread([&] {
    static thread_local LateUser late_user;
    late_user.tracer = program.tracer;
    MakeCurrentForGood(program.Start("kept"));
  }).join();
  EXPECT_EQ(program.Ended("kept").name, "kept");
  EXPECT_EQ(program.Ended("late").name, "late");
  EXPECT_EQ(program.Ended("late and kept").name, "late and kept");
}

struct StaticUser {
  ~StaticUser() {
    if (tracer.get() == nullptr) return;
    const Span span = tracer->StartSpan("static");
    const trace::Scope scope(span);
    if (trace::Tracer::GetCurrentSpan() != span) std::_Exit(1);
  }
  nostd::shared_ptr<trace::Tracer> tracer;
};

TEST(Storage, ExitWithContextsAliveAndUseInStaticDestruction) {
  InFreshProcess([] {
    static StaticUser user;
    static Program program;
    user.tracer = program.tracer;
    MakeCurrentForGood(program.Start("kept"));
    std::exit(testing::Test::HasFailure() ? 1 : 0);
  });
}

TEST(Storage, ForkChildKeepsTheContextsOfItsThread) {
  Program program;
  const Span root = program.Start("root");
  const trace::Scope scope(root);
  InFreshProcess([&] {
    EXPECT_EQ(trace::Tracer::GetCurrentSpan(), root);
    const Span child = program.Start("child");
    const trace::Scope inner(child);
    EXPECT_EQ(trace::Tracer::GetCurrentSpan(), child);
  });
}

TEST(Provider, EveryKindOfPointerIsTaken) {
  EXPECT_EQ(otelpyroscope::NewTracerProvider(nullptr).get(), nullptr);
  const auto make = [] {
    return std::make_unique<sdk::TracerProvider>(
        std::make_unique<KeepingProcessor>(std::make_shared<EndedSpans>()));
  };
  EXPECT_NE(otelpyroscope::NewTracerProvider(make()).get(), nullptr);
  EXPECT_NE(otelpyroscope::NewTracerProvider(std::shared_ptr<sdk::TracerProvider>(make())).get(),
            nullptr);
  EXPECT_NE(
      otelpyroscope::NewTracerProvider(nostd::shared_ptr<trace::TracerProvider>(make().release()))
          .get(),
      nullptr);
}

TEST(Provider, UnwrapGivesWhatWasWrapped) {
  Program program;
  const auto inner = otelpyroscope::Unwrap(program.wrapped);
  EXPECT_EQ(inner.get(), program.provider.get());
  EXPECT_TRUE(static_cast<sdk::TracerProvider*>(inner.get())->ForceFlush());
  EXPECT_EQ(otelpyroscope::Unwrap(inner), inner);
}

// As an API implementation may do when it is out of memory or shut down.
class EmptyProvider final : public trace::TracerProvider {
 public:
  class EmptyTracer final : public trace::Tracer {
   public:
    Span StartSpan(nostd::string_view, const opentelemetry::common::KeyValueIterable&,
                   const trace::SpanContextKeyValueIterable&,
                   const trace::StartSpanOptions&) noexcept override {
      return Span();
    }
#if OPENTELEMETRY_ABI_VERSION_NO == 1
    void ForceFlushWithMicroseconds(std::uint64_t) noexcept override {}
    void CloseWithMicroseconds(std::uint64_t) noexcept override {}
#endif
  };
#if OPENTELEMETRY_ABI_VERSION_NO >= 2
  nostd::shared_ptr<trace::Tracer> GetTracer(
      nostd::string_view name, nostd::string_view, nostd::string_view,
      const opentelemetry::common::KeyValueIterable*) noexcept override{
#else
  nostd::shared_ptr<trace::Tracer> GetTracer(nostd::string_view name, nostd::string_view,
                                             nostd::string_view) noexcept override {
#endif
      if (name == "none") return nostd::shared_ptr<trace::Tracer>();
  return nostd::shared_ptr<trace::Tracer>(new EmptyTracer);
}
};  // namespace

TEST(Provider, NullTracersAndSpansStayNull) {
  const auto wrapped = otelpyroscope::NewTracerProvider(std::make_unique<EmptyProvider>());
  EXPECT_EQ(wrapped->GetTracer("none").get(), nullptr);
  EXPECT_EQ(wrapped->GetTracer("empty")->StartSpan("span").get(), nullptr);
}

TEST(Provider, SpansOfANoopProviderAreNotWrapped) {
  const auto wrapped =
      otelpyroscope::NewTracerProvider(std::make_unique<trace::NoopTracerProvider>());
  const Span span = wrapped->GetTracer("noop")->StartSpan("span");
  ASSERT_NE(span.get(), nullptr);
  EXPECT_EQ(otelpyroscope::internal::AsOurs(span.get()), nullptr);
  const trace::Scope scope(span);
  EXPECT_TRUE(Unlabelled());
}

TEST(Provider, TracersAndSpansDoNotKeepTheProvider) {
  std::weak_ptr<trace::TracerProvider> inner;
  nostd::shared_ptr<trace::Tracer> tracer;
  Span span;
  {
    std::shared_ptr<trace::TracerProvider> provider = sdk::TracerProviderFactory::Create(
        std::make_unique<KeepingProcessor>(std::make_shared<EndedSpans>()));
    inner = provider;
    const auto wrapped = otelpyroscope::NewTracerProvider(std::move(provider));
    tracer = wrapped->GetTracer("test");
    span = tracer->StartSpan("span");
    EXPECT_FALSE(inner.expired());
  }
  EXPECT_TRUE(inner.expired());
  tracer->StartSpan("later")->End();
}

}  // namespace otelpyroscope_test
}  // namespace otelpyroscope_test
