// Truth of user labels: every sample of Inner<k> carries label k, and every sample with label k was
// taken under Outer<k>, which opened it. Two threads sample as fast as the kernel delivers.

#include <gtest/gtest.h>
#include <pprof/labels.h>
#include <pprof/profile.h>
#include <pprof/stats.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/busy.h"
#include "tests/support/pprof_reader.h"
#include "tests/support/truth.h"

namespace truth {

using pprof::CurrentLabels;
using pprof::Do;
using pprof::Labels;
using pprof::LabelScope;
using pprof::LabelSet;
using pprof::LabelSnapshot;

constexpr int kLabels = 6;

LabelSet SetOf(int k) { return Labels({{"k", std::to_string(k)}}); }

template <int K>
[[gnu::noinline]] void Inner() {
  for (int i = 0; i < 20; ++i) test::Spin();
  asm volatile("");  // not a tail call: Inner stays on the stack
}

// How a scope is opened. Each variant works in Inner<K> exactly while label K must be on.
template <int K>
struct Variants {
  static void Scope() {
    LabelScope scope(SetOf(K));
    Inner<K>();
  }
  static void PrebuiltDo() {
    static const LabelSet set = SetOf(K);
    Do(set, [] { Inner<K>(); });
  }
  static void Reentered() {
    static const LabelSet set = SetOf(K);
    for (int i = 0; i < 5; ++i) {
      LabelScope scope(set);
      Inner<K>();
    }
  }
  static void Nested() {
    LabelScope outer(SetOf(K));
    Inner<K>();
    {
      LabelScope other(Labels({{"x", "y"}}));
      Inner<K>();
    }
    Inner<K>();
  }
  static void OutOfOrder() {
    std::optional<LabelScope> first;
    std::optional<LabelScope> second;
    second.emplace(Labels({{"x", "y"}}));
    first.emplace(SetOf(K));
    second.reset();
    Inner<K>();
    first.reset();
    test::Spin();
  }
  static void Hidden() {
    LabelScope outer(SetOf(K));
    const LabelSnapshot here = CurrentLabels();
    const LabelScope none{LabelSnapshot()};
    test::Spin();
    const LabelScope again(here);
    Inner<K>();
  }
};

template <int K>
[[gnu::noinline]] void Outer(int variant) {
  using V = Variants<K>;
  static constexpr void (*kVariants[])() = {V::Scope,  V::PrebuiltDo, V::Reentered,
                                            V::Nested, V::OutOfOrder, V::Hidden};
  kVariants[static_cast<std::size_t>(variant) % std::size(kVariants)]();
  asm volatile("");
}

// Label K arrives as a snapshot that another thread took.
template <int K>
[[gnu::noinline]] void OuterResumed(const LabelSnapshot& snapshot) {
  const LabelScope scope(snapshot);
  Inner<K>();
  asm volatile("");
}

using Run = void (*)(int);
constexpr Run kOuter[kLabels] = {Outer<0>, Outer<1>, Outer<2>, Outer<3>, Outer<4>, Outer<5>};
using Resume = void (*)(const LabelSnapshot&);
constexpr Resume kResumed[kLabels] = {OuterResumed<0>, OuterResumed<1>, OuterResumed<2>,
                                      OuterResumed<3>, OuterResumed<4>, OuterResumed<5>};

// Labels that other threads hand over.
struct Mailbox {
  std::mutex mutex;
  std::deque<std::pair<int, LabelSnapshot>> mail;

  void Put(int k, const LabelSnapshot& snapshot) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (mail.size() < 100) mail.emplace_back(k, snapshot);
  }
  bool Take(std::pair<int, LabelSnapshot>* letter) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (mail.empty()) return false;
    *letter = std::move(mail.front());
    mail.pop_front();
    return true;
  }
};

// Label K is put on, and a snapshot of it sent away.
template <int K>
[[gnu::noinline]] void OuterSends(Mailbox& mailbox) {
  const LabelScope scope(SetOf(K));
  mailbox.Put(K, CurrentLabels());
  asm volatile("");
}
using Send = void (*)(Mailbox&);
constexpr Send kSends[kLabels] = {OuterSends<0>, OuterSends<1>, OuterSends<2>,
                                  OuterSends<3>, OuterSends<4>, OuterSends<5>};

// Every checked sample has this function: the stack is complete down to here.
[[gnu::noinline]] void ThreadEntry(unsigned seed, Mailbox& mailbox, const std::atomic<bool>& stop) {
  std::minstd_rand random(seed);
  while (!stop.load(std::memory_order_relaxed)) {
    const int k = static_cast<int>(random() % kLabels);
    kOuter[k](static_cast<int>(random() % 6));
    kSends[random() % kLabels](mailbox);
    std::pair<int, LabelSnapshot> letter;
    if (mailbox.Take(&letter)) kResumed[letter.first](letter.second);
    test::Spin();
  }
}

// The other truth test takes as many.
std::uint64_t WantedDeliveries() {
#if defined(__SANITIZE_ADDRESS__)
  return 2000;  // here the point is memory, not statistics
#elif defined(OTELPROF_EMULATED)
  return 2000;  // of some 60 to 250 a second
#else
  return std::getenv("OTELPROF_LONG") != nullptr ? 50000 : 10000;
#endif
}

TEST(LabelTruth, NoSampleCarriesALabelThatItShouldNotAndNoneLacksOne) {
  std::string bytes;
  const pprof::Stats before = pprof::ReadStats();
  auto profile = pprof::StartCpuProfile(
      [&](std::string_view piece) {
        bytes += piece;
        return true;
      },
      {1000});
  ASSERT_TRUE(profile.ok()) << profile.status().message;
  std::atomic<bool> stop{false};
  Mailbox mailbox;
  std::vector<std::thread> threads;
  for (unsigned seed = 1; seed <= 2; ++seed) {
    threads.emplace_back([&, seed] { ThreadEntry(seed, mailbox, stop); });
  }
  while (pprof::ReadStats().deliveries - before.deliveries < WantedDeliveries()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(profile->Stop().ok());

  std::string error;
  const auto read = pprof_reader::Read(bytes, &error);
  ASSERT_TRUE(read.has_value()) << error;
  const test::TruthResult result = test::CheckTruth(*read, "truth::ThreadEntry", "k",
                                                    [](const std::string& value) { return value; });
  std::printf("  %lld samples checked, %lld with a label\n", static_cast<long long>(result.checked),
              static_cast<long long>(result.labelled));
  EXPECT_EQ(result.violations, 0) << result.example;
  EXPECT_GT(result.labelled, static_cast<std::int64_t>(WantedDeliveries() / 2));

  const pprof::Stats after = pprof::ReadStats();
  EXPECT_EQ(after.samples_lost, before.samples_lost);
  const double complete = static_cast<double>(after.stacks_complete - before.stacks_complete);
  EXPECT_GE(complete / static_cast<double>(after.deliveries - before.deliveries), 0.999);
}

}  // namespace truth
