#include "src/pprof/handler/ring.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace pprof::handler {
namespace {

constexpr std::uint32_t kHeaderWords = sizeof(SampleHeader) / 8;

class RingTest : public testing::Test {
 protected:
  RingTest()
      : memory_(mmap(nullptr, kRings * Ring::kBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    pool_.Init(memory_, kRings);
    ring_ = pool_.Take();
  }
  ~RingTest() override { munmap(memory_, kRings * Ring::kBytes); }

  // A sample whose frames are first, first + 1, ... False: no room.
  static bool Write(Ring& ring, std::uint64_t first, std::uint16_t frames) {
    std::uint64_t* words = ring.Reserve(kHeaderWords + kMaxFrames);
    if (words == nullptr) return false;
    SampleHeader header = {};
    header.words = kHeaderWords + frames;
    header.kind = RecordKind::kSample;
    header.frames = frames;
    header.time_ns = first;
    std::memcpy(words, &header, sizeof header);
    for (std::uint16_t i = 0; i < frames; ++i) words[kHeaderWords + i] = first + i;
    ring.Commit(header.words);
    return true;
  }

  // Frames must be those that Write made.
  static void ExpectWhole(const SampleHeader& sample) {
    const auto* frames = reinterpret_cast<const std::uint64_t*>(&sample + 1);
    for (std::uint16_t i = 0; i < sample.frames; ++i) ASSERT_EQ(frames[i], sample.time_ns + i);
  }

  static constexpr std::uint32_t kRings = 4;
  void* memory_;
  RingPool pool_;
  Ring* ring_;
};

TEST_F(RingTest, GivesRecordsBackInOrderOverManyLaps) {
  std::uint64_t read = 0;
  for (std::uint64_t i = 0; i < 10000; ++i) {
    ASSERT_TRUE(Write(*ring_, i, static_cast<std::uint16_t>(i * 37 % 200)));
    if (i % 3 != 2) continue;
    while (const SampleHeader* sample = ring_->Front()) {
      ASSERT_EQ(sample->time_ns, read++);
      ExpectWhole(*sample);
      ring_->Pop();
    }
  }
  EXPECT_GE(read, 9999u);
}

TEST_F(RingTest, RefusesWhatDoesNotFitAndKeepsWhatItHas) {
  std::uint64_t written = 0;
  while (Write(*ring_, written, 40)) ++written;
  EXPECT_GE(written, 10u);  // the comment in ring.h promises room for 100 ms at 100 Hz
  EXPECT_TRUE(ring_->HalfFull());
  for (std::uint64_t i = 0; i < written; ++i) {
    const SampleHeader* sample = ring_->Front();
    ASSERT_NE(sample, nullptr);
    ASSERT_EQ(sample->time_ns, i);
    ExpectWhole(*sample);
    ring_->Pop();
  }
  EXPECT_EQ(ring_->Front(), nullptr);
  EXPECT_TRUE(Write(*ring_, 7, 512));
}

// Where a record does not fit before the end, what is left there counts as used.
TEST_F(RingTest, DoesNotOverwriteTheOldestWhereItWraps) {
  std::uint64_t written = 0;
  while (Write(*ring_, written * 1000, 300)) ++written;
  ASSERT_EQ(written, 5u);
  ring_->Pop();
  EXPECT_FALSE(
      Write(*ring_, 77, 300));  // the hole at the start is too small, the one at the end too
  ring_->Pop();
  EXPECT_TRUE(Write(*ring_, written * 1000, 300));
  for (std::uint64_t i = 2; i <= written; ++i) {
    const SampleHeader* sample = ring_->Front();
    ASSERT_NE(sample, nullptr);
    EXPECT_EQ(sample->time_ns, i * 1000);
    ExpectWhole(*sample);
    ring_->Pop();
  }
}

TEST_F(RingTest, LossIsTakenOnceWithTheTimeOfTheFirst) {
  ring_->CountLoss(3, 1000);
  ring_->CountLoss(4, 2000);
  std::uint64_t since = 0;
  EXPECT_EQ(ring_->TakeLoss(&since), 7u);
  EXPECT_EQ(since, 1000u);
  EXPECT_EQ(ring_->TakeLoss(&since), 0u);
  ring_->CountLoss(1, 3000);
  EXPECT_EQ(ring_->TakeLoss(&since), 1u);
  EXPECT_EQ(since, 3000u);
}

TEST_F(RingTest, ReservationThatIsNotCommittedLeavesNothing) {
  ASSERT_NE(ring_->Reserve(100), nullptr);
  EXPECT_EQ(ring_->Front(), nullptr);
  ASSERT_TRUE(Write(*ring_, 1, 3));
  EXPECT_EQ(ring_->Front()->time_ns, 1u);
}

TEST_F(RingTest, ProducerAndConsumerOnTwoThreadsLoseNothingUncounted) {
  constexpr std::uint64_t kRecords = 200000;
  std::atomic<bool> done{false};
  std::uint64_t lost = 0;
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < kRecords; ++i) {
      if (!Write(*ring_, i, static_cast<std::uint16_t>(i % 60))) ring_->CountLoss(1, i);
    }
    done.store(true, std::memory_order_release);
  });
  std::uint64_t read = 0;
  std::uint64_t last = 0;
  for (bool more = true; more;) {
    more = !done.load(std::memory_order_acquire);
    while (const SampleHeader* sample = ring_->Front()) {
      ExpectWhole(*sample);
      ASSERT_TRUE(read == 0 || sample->time_ns > last);
      last = sample->time_ns;
      ++read;
      ring_->Pop();
    }
    std::uint64_t since = 0;
    lost += ring_->TakeLoss(&since);
  }
  producer.join();
  EXPECT_EQ(read + lost, kRecords);
  EXPECT_GT(read, 0u);
}

TEST_F(RingTest, PoolGivesEachRingToOneThreadAndTakesItBack) {
  std::set<Ring*> rings = {ring_};
  for (std::uint32_t i = 1; i < kRings; ++i) rings.insert(pool_.Take());
  EXPECT_EQ(rings.size(), kRings);
  EXPECT_EQ(rings.count(nullptr), 0u);
  EXPECT_EQ(pool_.Take(), nullptr);
  pool_.Give(ring_);
  EXPECT_EQ(pool_.Take(), ring_);
  EXPECT_EQ(pool_.Take(), nullptr);
}

TEST_F(RingTest, PoolUnderContentionNeverGivesARingTwice) {
  std::atomic<int> users[kRings] = {};
  std::atomic<int> clashes{0};
  std::mutex give;  // one collector gives back, many handlers take
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50000; ++i) {
        Ring* ring = pool_.Take();
        if (ring == nullptr) continue;
        std::atomic<int>* user = nullptr;
        for (std::uint32_t k = 0; k < kRings; ++k) {
          if (pool_.at(k) == ring) user = &users[k];
        }
        if (user->fetch_add(1) != 0) ++clashes;
        user->fetch_sub(1);
        const std::lock_guard<std::mutex> lock(give);
        pool_.Give(ring);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(clashes.load(), 0);
}

}  // namespace
}  // namespace pprof::handler
