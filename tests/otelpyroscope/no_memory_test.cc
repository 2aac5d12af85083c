// Out of memory: labels are missing and counted, never wrong, and the process goes on. Each test
// runs an operation again and again, each time with another single allocation of ours failing,
// until it makes no more allocations than that.
//
// The linker gives this file's functions for malloc, realloc, calloc and the forms of operator new
// that return nullptr, in this program's own code. What the OpenTelemetry API allocates by itself
// (contexts, tokens, spans, all noexcept) comes from the throwing form, which does not fail here:
// without memory the API ends the process, with us or without.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <pprof/labels.h>
#include <pprof/span_watch.h>
#include <pprof/stats.h>

#include "tests/otelpyroscope/fresh_process.h"
#include "tests/otelpyroscope/traced_program.h"

namespace {

thread_local int t_until_failure = -1;  // allocations; negative: none fails
thread_local bool t_failed = false;

bool FailsNow() noexcept {
  if (t_until_failure < 0 || t_until_failure-- > 0) return false;
  t_failed = true;
  return true;
}

}  // namespace

extern "C" {
void* __real_malloc(std::size_t size);
void* __real_calloc(std::size_t count, std::size_t size);
void* __real_realloc(void* old, std::size_t size);
void* __real__ZnwmRKSt9nothrow_t(std::size_t size, const std::nothrow_t& tag) noexcept;
void* __real__ZnamRKSt9nothrow_t(std::size_t size, const std::nothrow_t& tag) noexcept;
void* __real__ZnamSt11align_val_tRKSt9nothrow_t(std::size_t size, std::align_val_t align,
                                                const std::nothrow_t& tag) noexcept;

void* __wrap_malloc(std::size_t size) { return FailsNow() ? nullptr : __real_malloc(size); }
void* __wrap_calloc(std::size_t count, std::size_t size) {
  return FailsNow() ? nullptr : __real_calloc(count, size);
}
void* __wrap_realloc(void* old, std::size_t size) {
  return FailsNow() ? nullptr : __real_realloc(old, size);
}
void* __wrap__ZnwmRKSt9nothrow_t(std::size_t size, const std::nothrow_t& tag) noexcept {
  return FailsNow() ? nullptr : __real__ZnwmRKSt9nothrow_t(size, tag);
}
void* __wrap__ZnamRKSt9nothrow_t(std::size_t size, const std::nothrow_t& tag) noexcept {
  return FailsNow() ? nullptr : __real__ZnamRKSt9nothrow_t(size, tag);
}
void* __wrap__ZnamSt11align_val_tRKSt9nothrow_t(std::size_t size, std::align_val_t align,
                                                const std::nothrow_t& tag) noexcept {
  return FailsNow() ? nullptr : __real__ZnamSt11align_val_tRKSt9nothrow_t(size, align, tag);
}
}

namespace otelpyroscope_test {
namespace {

std::uint64_t Dropped() { return pprof::ReadStats().labels_dropped; }

// Calls operation() on new threads, so that what a thread allocates once fails too. Returns how
// many allocations failed, one a call.
template <class F>
int FailEachAllocation(F operation) {
  for (int n = 0;; ++n) {
    bool failed = false;
    std::thread([&] {
      const std::uint64_t before = Dropped();
      t_failed = false;
      t_until_failure = n;
      operation();
      t_until_failure = -1;
      failed = t_failed;
      if (failed) {
        EXPECT_GT(Dropped(), before) << "allocation " << n << " failed and is not counted";
      }
      EXPECT_TRUE(Unlabelled()) << "allocation " << n;
    }).join();
    if (!failed || n == 100) return n;
  }
}

// Runs a test's own code, whose allocations do not fail.
template <class F>
void Unfailing(F f) {
  const int kept = std::exchange(t_until_failure, -1);
  f();
  t_until_failure = kept;
}

void ExpectLabelsOfCurrentOrNone(const char* root_name) {
  Unfailing([&] {
    const Span current = trace::Tracer::GetCurrentSpan();
    const std::string id = SpanIdLabel();
    EXPECT_TRUE(id.empty() || id == IdOf(current)) << id << " under " << IdOf(current);
    const std::string name = SpanNameLabel();
    EXPECT_TRUE(name.empty() || name == root_name) << name;
    EXPECT_TRUE(id.empty() || TraceIdLabel() == TraceOf(current));
  });
}

// First, while nothing is installed in this process.
TEST(NoMemory, InstallationCanBeRepeated) {
  int failures = 0;
  for (bool failed = true; failed; ++failures) {
    ASSERT_LT(failures, 100);
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    InFreshProcess([&] {
      t_until_failure = failures;
      const bool installed = otelpyroscope::InstallContextStorage();
      t_until_failure = -1;
      EXPECT_TRUE(installed || Dropped() > 0);
      EXPECT_TRUE(otelpyroscope::InstallContextStorage());
      Program program;
      const Span root = program.Start("root");
      const trace::Scope scope(root);
      EXPECT_EQ(SpanIdLabel(), IdOf(root));
      EXPECT_EQ(write(pipe_ends[1], &t_failed, sizeof(t_failed)), 1);
    });
    ASSERT_EQ(read(pipe_ends[0], &failed, sizeof(failed)), 1);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
  }
  EXPECT_GT(failures, 2);
}

TEST(NoMemory, SpansAndScopes) {
  Program program;
  const int failed = FailEachAllocation([&] {
    const Span root = program.tracer->StartSpan("root");
    const trace::Scope scope(root);
    ExpectLabelsOfCurrentOrNone("root");
    const Span child = program.tracer->StartSpan("child");
    {
      const trace::Scope inner(child);
      Unfailing([&] {
        const std::string id = SpanIdLabel();
        EXPECT_TRUE(id.empty() || id == IdOf(root) || id == IdOf(child)) << id;
      });
    }
    root->UpdateName("name");
    Unfailing([&] { EXPECT_TRUE(SpanNameLabel() != "child") << SpanNameLabel(); });
    root->End();
  });
  EXPECT_GT(failed, 5);
  EXPECT_EQ(program.Ended("name").name, "name");
}

TEST(NoMemory, DeepStacksOfScopes) {
  Program program;
  std::vector<Span> roots;
  for (int i = 0; i < 40; ++i) roots.push_back(program.Start("name"));
  const int failed = FailEachAllocation([&] {
    std::vector<std::unique_ptr<trace::Scope>> scopes;
    for (const Span& root : roots) {
      scopes.push_back(std::make_unique<trace::Scope>(root));
      ExpectLabelsOfCurrentOrNone("name");
    }
    while (!scopes.empty()) {
      scopes.pop_back();
      ExpectLabelsOfCurrentOrNone("name");
    }
  });
  EXPECT_GT(failed, 6) << "both stacks grow several times";
}

TEST(NoMemory, GuardsAndSpansThatAreNotOurs) {
  Program program;
  const Span ours = program.Start("ours");
  const Span other = program.plain_tracer->StartSpan("other");
  const int failed = FailEachAllocation([&] {
    const otelpyroscope::SpanGuard guard(ours);
    EXPECT_TRUE(SpanIdLabel().empty() || SpanIdLabel() == IdOf(ours));
    const trace::Scope scope(other);
    Unfailing([&] {  // without memory the other span is not current, and the guard's labels stay
      const Span& labelled = trace::Tracer::GetCurrentSpan() == other ? other : ours;
      EXPECT_TRUE(SpanIdLabel().empty() || SpanIdLabel() == IdOf(labelled)) << SpanIdLabel();
    });
  });
  EXPECT_GT(failed, 3);
}

TEST(NoMemory, LabelScopes) {
  const pprof::LabelSet outer = pprof::Labels({{"outer", "1"}});
  const int failed = FailEachAllocation([&] {
    const pprof::LabelScope scope(outer);
    const pprof::LabelSet made = pprof::Labels({{"inner", "2"}});
    const pprof::LabelScope inner(made);
    const pprof::LabelSnapshot snapshot = pprof::CurrentLabels();
    const pprof::LabelScope again(snapshot);
    const std::string_view value = snapshot.labels().Get("inner");
    EXPECT_TRUE(value.empty() || value == "2");
  });
  EXPECT_GT(failed, 3);
}

// Notes that are missing are no labels: they are not counted as such, and the spans are whole.
TEST(NoMemory, WatchedSpans) {
  const auto watch = pprof::WatchSpans();
  ASSERT_TRUE(watch.ok());
  Program program;
  int failed = 0;
  for (int n = 0;; ++n) {
    t_failed = false;
    t_until_failure = n;
    const Span span = program.Start("root");
    for (int i = 0; i < 4; ++i) span->SetAttribute("key", nostd::string_view("value"));
    span->UpdateName("a name that is longer than the thirty-two bytes there are");
    span->SetStatus(trace::StatusCode::kError, "");
    span->End();
    t_until_failure = -1;
    if (!t_failed) break;
    ++failed;
    EXPECT_TRUE(span->GetContext().IsValid());
  }
  EXPECT_GE(failed, 4) << "span, record, attributes, name";
  EXPECT_TRUE(watch->Document().ok());
}

TEST(NoMemory, ProvidersAndTracers) {
  Program program;
  const int failed = FailEachAllocation([&] {
    const auto wrapped = otelpyroscope::NewTracerProvider(program.provider);
    ASSERT_NE(wrapped.get(), nullptr);
    const auto tracer = wrapped->GetTracer("test");
    ASSERT_NE(tracer.get(), nullptr);
    EXPECT_TRUE(tracer->StartSpan("span")->IsRecording());
  });
  EXPECT_GT(failed, 2);
}

}  // namespace
}  // namespace otelpyroscope_test
