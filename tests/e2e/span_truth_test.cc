// Truth of span labels: every sample of Inner<k> carries span k's id and name, and every sample
// with span k's id or name was taken under Outer<k>, which made span k current. Spans 0 to 3 are
// sampled, 4 and 5 are not and have names only.

#include <gtest/gtest.h>
#include <opentelemetry/sdk/trace/processor.h>
#include <opentelemetry/sdk/trace/sampler.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/default_span.h>
#include <otelpyroscope/otelpyroscope.h>
#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pprof/stats.h>

#include <atomic>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/busy.h"
#include "tests/support/pprof_reader.h"
#include "tests/support/truth.h"

namespace truth {

namespace context = opentelemetry::context;
namespace nostd = opentelemetry::nostd;
namespace sdk = opentelemetry::sdk::trace;
namespace trace = opentelemetry::trace;

using SpanPtr = nostd::shared_ptr<trace::Span>;

constexpr int kSpans = 6;
constexpr int kSampledSpans = 4;

std::string NameOf(int k) { return "op-" + std::to_string(k); }

// --- Tracing: an SDK that keeps what was exported.
// ---------------------------------------------------------------

struct Exported {
  std::mutex mutex;
  std::set<std::string> ids;
  std::set<std::string> ids_with_profile;
};

std::string Hex(const trace::SpanId& id) {
  char text[16];
  id.ToLowerBase16(text);
  return std::string(text, sizeof text);
}

class KeepingProcessor final : public sdk::SpanProcessor {
 public:
  explicit KeepingProcessor(Exported& exported) : exported_(exported) {}
  std::unique_ptr<sdk::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<sdk::SpanData>();
  }
  void OnStart(sdk::Recordable&, const trace::SpanContext&) noexcept override {}
  void OnEnd(std::unique_ptr<sdk::Recordable>&& recordable) noexcept override {
    const auto& span = static_cast<const sdk::SpanData&>(*recordable);
    const std::lock_guard<std::mutex> lock(exported_.mutex);
    exported_.ids.insert(Hex(span.GetSpanId()));
    const auto found = span.GetAttributes().find("pyroscope.profile.id");
    if (found != span.GetAttributes().end())
      exported_.ids_with_profile.insert(Hex(span.GetSpanId()));
  }
  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }

 private:
  Exported& exported_;
};

class ByNameSampler final : public sdk::Sampler {
 public:
  sdk::SamplingResult ShouldSample(const trace::SpanContext&, trace::TraceId,
                                   nostd::string_view name, trace::SpanKind,
                                   const opentelemetry::common::KeyValueIterable&,
                                   const trace::SpanContextKeyValueIterable&) noexcept override {
    const bool sampled = name != "op-4" && name != "op-5";
    return {sampled ? sdk::Decision::RECORD_AND_SAMPLE : sdk::Decision::DROP, nullptr, {}};
  }
  nostd::string_view GetDescription() const noexcept override { return "ByNameSampler"; }
};

struct Tracing {
  Exported exported;
  nostd::shared_ptr<trace::TracerProvider> provider;
  nostd::shared_ptr<trace::Tracer> tracer;

  explicit Tracing(otelpyroscope::ProfileIdAttribute attribute) {
    otelpyroscope::Options options;
    options.span_id_label_scope = otelpyroscope::Scope::kAllSpans;
    options.span_name_label_scope = otelpyroscope::Scope::kAllSpans;
    options.profile_id_attribute = attribute;
    provider = otelpyroscope::NewTracerProvider(
        std::make_unique<sdk::TracerProvider>(std::make_unique<KeepingProcessor>(exported),
                                              opentelemetry::sdk::resource::Resource::Create({}),
                                              std::make_unique<ByNameSampler>()),
        options);
    tracer = provider->GetTracer("truth");
  }
};

// Which span id stands for which k.
struct Ids {
  std::mutex mutex;
  std::map<std::string, std::string> k_of;
};
Tracing* g_tracing = nullptr;
Ids g_ids;

SpanPtr Start(int k, const trace::StartSpanOptions& options = {}) {
  SpanPtr span = g_tracing->tracer->StartSpan(NameOf(k), options);
  const std::lock_guard<std::mutex> lock(g_ids.mutex);
  g_ids.k_of[Hex(span->GetContext().span_id())] = std::to_string(k);
  return span;
}

// --- The cases.
// --------------------------------------------------------------------------------------------------

template <int K>
[[gnu::noinline]] void Inner() {
  for (int i = 0; i < 20; ++i) test::Spin();
  asm volatile("");  // not a tail call: Inner stays on the stack
}

[[gnu::noinline]] void Unlabelled() {
  for (int i = 0; i < 5; ++i) test::Spin();
  asm volatile("");
}

trace::SpanContext RemoteParent() {
  const std::uint8_t trace_id[16] = {1, 2, 3};
  const std::uint8_t span_id[8] = {4, 5, 6};
  return trace::SpanContext(trace::TraceId(trace_id), trace::SpanId(span_id), trace::TraceFlags(1),
                            true);
}

template <int K>
struct Variants {
  static void Scope() {
    const SpanPtr span = Start(K);
    trace::Scope scope(span);
    Inner<K>();
  }
  static void EndedEarly() {  // an ended span keeps its labels until it is detached
    const SpanPtr span = Start(K);
    trace::Scope scope(span);
    Inner<K>();
    span->End();
    Inner<K>();
  }
  static void EndedElsewhere() {
    const SpanPtr span = Start(K);
    trace::Scope scope(span);
    std::thread([&] { span->End(); }).join();
    Inner<K>();
  }
  static void Reentered() {
    const SpanPtr span = Start(K);
    for (int i = 0; i < 3; ++i) {
      trace::Scope scope(span);
      Inner<K>();
      trace::Scope again(span);
      Inner<K>();
    }
  }
  static void OutOfOrder() {  // dropping the outer scope first pops what is above it as well
    const SpanPtr span = Start(K);
    auto first = std::make_unique<trace::Scope>(span);
    auto second = std::make_unique<trace::Scope>(Start(K));
    Inner<K>();
    first.reset();
    if (!trace::Tracer::GetCurrentSpan()->GetContext().IsValid()) Unlabelled();
    second.reset();
  }
  static void DroppedOnAnotherThread() {  // this thread's current span says what is true
    const SpanPtr span = Start(K);
    const SpanPtr below = Start(K);
    trace::Scope base(below);
    auto scope = std::make_unique<trace::Scope>(span);
    std::thread([&] { scope.reset(); }).join();
    if (trace::Tracer::GetCurrentSpan()->GetContext().IsValid()) Inner<K>();
  }
  static void Guard() {
    const SpanPtr span = Start(K);
    {
      const otelpyroscope::SpanGuard guard(span);
      Inner<K>();
    }
    Unlabelled();
  }
  static void RemoteParentSpan() {
    trace::StartSpanOptions options;
    options.parent = RemoteParent();
    const SpanPtr span = Start(K, options);
    trace::Scope scope(span);
    Inner<K>();
  }
  static void SpanContextParent() {
    const SpanPtr outer = Start(K);
    trace::Scope outer_scope(outer);
    trace::StartSpanOptions options;
    options.parent = outer->GetContext();
    const SpanPtr span = Start(K, options);
    trace::Scope scope(span);
    Inner<K>();
  }
  static void UserLabels() {
    const SpanPtr span = Start(K);
    trace::Scope scope(span);
    pprof::Do(pprof::Labels({{"tenant", "acme"}}), [] { Inner<K>(); });
    Inner<K>();
  }
};

template <int K>
[[gnu::noinline]] void Outer(unsigned variant) {
  using V = Variants<K>;
  static constexpr void (*kVariants[])() = {
      V::Scope,     V::EndedEarly,       V::EndedElsewhere,
      V::Reentered, V::OutOfOrder,       V::DroppedOnAnotherThread,
      V::Guard,     V::RemoteParentSpan, V::SpanContextParent,
      V::UserLabels};
  kVariants[variant % std::size(kVariants)]();
  asm volatile("");
}

// What one thread hands to another: a context, or a snapshot of labels.
struct Letter {
  int k;
  context::Context otel;
  std::optional<pprof::LabelSnapshot> snapshot;
};

struct Mailbox {
  std::mutex mutex;
  std::deque<Letter> mail;
};

template <int K>
[[gnu::noinline]] void OuterSends(Mailbox& mailbox, bool as_snapshot) {
  const SpanPtr span = Start(K);
  trace::Scope scope(span);
  Letter letter{K, context::RuntimeContext::GetCurrent(), std::nullopt};
  if (as_snapshot) letter.snapshot = pprof::CurrentLabels();
  const std::lock_guard<std::mutex> lock(mailbox.mutex);
  if (mailbox.mail.size() < 100) mailbox.mail.push_back(std::move(letter));
}

template <int K>
[[gnu::noinline]] void OuterResumed(const Letter& letter) {
  if (letter.snapshot.has_value()) {
    const pprof::LabelScope scope(*letter.snapshot);
    Inner<K>();
  } else {
    const auto token = context::RuntimeContext::Attach(letter.otel);
    Inner<K>();
  }
  asm volatile("");
}

template <int... K>
void Dispatch(std::integer_sequence<int, K...>, int k, unsigned variant) {
  ((k == K ? Outer<K>(variant) : void()), ...);
}
template <int... K>
void DispatchSend(std::integer_sequence<int, K...>, int k, Mailbox& mailbox, bool as_snapshot) {
  ((k == K ? OuterSends<K>(mailbox, as_snapshot) : void()), ...);
}
template <int... K>
void DispatchLetter(std::integer_sequence<int, K...>, const Letter& letter) {
  ((letter.k == K ? OuterResumed<K>(letter) : void()), ...);
}

[[gnu::noinline]] void ThreadEntry(unsigned seed, Mailbox& mailbox, const std::atomic<bool>& stop) {
  using All = std::make_integer_sequence<int, kSpans>;
  std::minstd_rand random(seed);
  while (!stop.load(std::memory_order_relaxed)) {
    Dispatch(All(), static_cast<int>(random() % kSpans), static_cast<unsigned>(random() / 16));
    DispatchSend(All(), static_cast<int>(random() % kSpans), mailbox, random() % 2 == 0);
    std::optional<Letter> letter;
    {
      const std::lock_guard<std::mutex> lock(mailbox.mutex);
      if (!mailbox.mail.empty()) {
        letter = std::move(mailbox.mail.front());
        mailbox.mail.pop_front();
      }
    }
    if (letter.has_value()) DispatchLetter(All(), *letter);
    Unlabelled();
  }
}

// The other truth test takes as many.
std::uint64_t WantedDeliveries() {
#if defined(__SANITIZE_ADDRESS__)
  return 2000;  // here the point is memory, not statistics
#else
  return std::getenv("OTELPROF_LONG") != nullptr ? 50000 : 10000;
#endif
}

pprof_reader::Profile ProfileThreads(pprof::Stats* before, pprof::Stats* after) {
  std::string bytes;
  *before = pprof::ReadStats();
  auto profile = pprof::StartCpuProfile(
      [&](std::string_view piece) {
        bytes += piece;
        return true;
      },
      {1000});
  EXPECT_TRUE(profile.ok()) << profile.status().message;
  std::atomic<bool> stop{false};
  Mailbox mailbox;
  std::vector<std::thread> threads;
  for (unsigned seed = 1; seed <= 2; ++seed) {
    threads.emplace_back([&, seed] { ThreadEntry(seed, mailbox, stop); });
  }
  while (pprof::ReadStats().deliveries - before->deliveries < WantedDeliveries()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  mailbox.mail.clear();
  EXPECT_TRUE(profile->Stop().ok());
  *after = pprof::ReadStats();
  std::string error;
  auto read = pprof_reader::Read(bytes, &error);
  EXPECT_TRUE(read.has_value()) << error;
  return read.has_value() ? std::move(*read) : pprof_reader::Profile();
}

std::string KOfId(const std::string& id) {
  const auto found = g_ids.k_of.find(id);
  return found != g_ids.k_of.end() ? found->second : id.empty() ? "" : "unknown span " + id;
}

std::string KOfName(const std::string& name) { return name.empty() ? "" : name.substr(3); }

void ExpectTrueLabels(const pprof_reader::Profile& profile) {
  const test::TruthResult ids =
      test::CheckTruth(profile, "truth::ThreadEntry", "span_id", KOfId,
                       [](const std::string& k) { return std::stoi(k) < kSampledSpans; });
  EXPECT_EQ(ids.violations, 0) << ids.example;
  const test::TruthResult names =
      test::CheckTruth(profile, "truth::ThreadEntry", "span_name", KOfName);
  EXPECT_EQ(names.violations, 0) << names.example;
  std::printf("  %lld samples checked, %lld with an id, %lld with a name\n",
              static_cast<long long>(ids.checked), static_cast<long long>(ids.labelled),
              static_cast<long long>(names.labelled));
  EXPECT_GT(ids.labelled, static_cast<std::int64_t>(WantedDeliveries() / 2));
  EXPECT_GT(names.labelled, ids.labelled);
}

// kIfProfiled: the attribute stands exactly where a sample was taken.
void ExpectAttributesWhereSampled(const pprof_reader::Profile& profile, const Exported& exported) {
  std::set<std::string> sampled;
  for (const pprof_reader::Sample& sample : profile.samples) {
    const std::string id(sample.Label("span_id"));
    if (!id.empty()) sampled.insert(id);
  }
  for (const std::string& id : exported.ids_with_profile) {
    EXPECT_EQ(sampled.count(id), 1u) << "span " << id << " has the attribute and no sample";
  }
  std::printf("  %zu spans exported, %zu with pyroscope.profile.id, %zu ids in the profile\n",
              exported.ids.size(), exported.ids_with_profile.size(), sampled.size());
  EXPECT_GT(exported.ids_with_profile.size(), 100u);
}

TEST(SpanTruth, NoSampleCarriesASpanThatDidNotRunItAndNoneLacksOne) {
  Tracing tracing(otelpyroscope::ProfileIdAttribute::kIfProfiled);
  g_tracing = &tracing;
  pprof::Stats before;
  pprof::Stats after;
  const pprof_reader::Profile profile = ProfileThreads(&before, &after);
  g_tracing = nullptr;
  ExpectTrueLabels(profile);
  ExpectAttributesWhereSampled(profile, tracing.exported);
  EXPECT_EQ(after.samples_lost, before.samples_lost);
  const auto complete = static_cast<double>(after.stacks_complete - before.stacks_complete);
  EXPECT_GE(complete / static_cast<double>(after.deliveries - before.deliveries), 0.999);
}

}  // namespace truth
