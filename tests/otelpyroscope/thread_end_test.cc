// Contexts that are used while a thread ends: by destructors of thread_local objects that run after
// those of the storage. Meaningful under AddressSanitizer above all.
#include <memory>
#include <thread>

#include <gtest/gtest.h>

#include "tests/otelpyroscope/fresh_process.h"
#include "tests/otelpyroscope/traced_program.h"

namespace otelpyroscope_test {
namespace {

// Constructed before anything of OpenTelemetry on its thread, so destroyed after it.
struct LateUser {
  ~LateUser() {
    if (program == nullptr) return;
    EXPECT_TRUE(context::RuntimeContext::GetCurrent() == context::Context());
    const Span span = program->Start("late");
    {
      const trace::Scope scope(span);
      EXPECT_EQ(trace::Tracer::GetCurrentSpan(), span);
      EXPECT_EQ(SpanIdLabel(), IdOf(span));
    }
    EXPECT_TRUE(Unlabelled());
  }
  Program* program = nullptr;
};
thread_local LateUser t_late_user;

// The thread's stack in the default storage is gone when ours is asked for the first time there.
TEST(ThreadEnd, FirstUseAfterTheDefaultStorageIsGone) {
  InFreshProcess([] {
    const std::shared_ptr<trace::TracerProvider> plain = sdk::TracerProviderFactory::Create(
        std::make_unique<KeepingProcessor>(std::make_shared<EndedSpans>()));
    std::unique_ptr<Program> program;
    std::thread([&] {
      LateUser& late_user = t_late_user;
      {
        const Span early = plain->GetTracer("early")->StartSpan("early");
        const trace::Scope scope(early);
        const auto empty = context::RuntimeContext::Attach(context::Context());
      }
      std::thread([&] { program = std::make_unique<Program>(); }).join();
      late_user.program = program.get();
    }).join();
    EXPECT_EQ(program->Ended("late").name, "late");
  });
}

TEST(ThreadEnd, UseAfterOurStorageReleasedItsContexts) {
  InFreshProcess([] {
    Program program;
    std::thread([&] {
      LateUser& late_user = t_late_user;
      late_user.program = &program;
      const Span span = program.Start("span");
      auto token = context::RuntimeContext::Attach(
          context::RuntimeContext::GetCurrent().SetValue(trace::kSpanKey, span));
      std::thread([&] { token.reset(); }).join();  // stays attached here
      EXPECT_EQ(SpanIdLabel(), IdOf(span));
    }).join();
    EXPECT_EQ(program.Ended("span").name, "span");
    EXPECT_EQ(program.Ended("late").name, "late");
  });
}

// Empty contexts from before the installation look like an empty stack.
TEST(ThreadEnd, EmptyContextsFromBeforeAreDetachedInOrder) {
  InFreshProcess([] {
    const std::shared_ptr<trace::TracerProvider> plain = sdk::TracerProviderFactory::Create(
        std::make_unique<KeepingProcessor>(std::make_shared<EndedSpans>()));
    const Span early = plain->GetTracer("early")->StartSpan("early");
    auto bottom = context::RuntimeContext::Attach(context::Context());
    auto with_span = context::RuntimeContext::Attach(context::Context(trace::kSpanKey, early));
    auto top = context::RuntimeContext::Attach(context::Context());
    Program program;
    EXPECT_TRUE(Unlabelled());
    const Span root = program.Start("root");
    auto ours = context::RuntimeContext::Attach(context::Context(trace::kSpanKey, root));
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
    top.reset();  // takes ours along
    EXPECT_EQ(trace::Tracer::GetCurrentSpan(), early);
    EXPECT_EQ(SpanIdLabel(), IdOf(early));
    with_span.reset();
    EXPECT_TRUE(Unlabelled());
    auto again = context::RuntimeContext::Attach(context::Context(trace::kSpanKey, root));
    EXPECT_TRUE(context::RuntimeContext::Detach(*bottom)) << "it lies below";
    EXPECT_TRUE(Unlabelled());
    auto last = context::RuntimeContext::Attach(context::Context(trace::kSpanKey, root));
    EXPECT_FALSE(context::RuntimeContext::Detach(*bottom)) << "it is gone";
    EXPECT_EQ(SpanIdLabel(), IdOf(root));
  });
}

}  // namespace
}  // namespace otelpyroscope_test
