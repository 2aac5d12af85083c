// Interprets bytes as operations on a Ring and checks it against a simple model: every record that
// was committed comes out once, whole and in order.

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <utility>

#include "src/pprof/handler/ring.h"

using pprof::handler::kMaxFrames;
using pprof::handler::RecordKind;
using pprof::handler::Ring;
using pprof::handler::RingPool;
using pprof::handler::SampleHeader;

namespace {

constexpr std::uint32_t kHeaderWords = sizeof(SampleHeader) / 8;

void Check(bool condition) {
  if (!condition) std::abort();
}

struct Model {
  std::deque<std::pair<std::uint64_t, std::uint16_t>> records;  // time, frames
  std::uint64_t next = 1;
};

void Produce(Ring& ring, Model& model, std::uint16_t frames, bool commit) {
  std::uint64_t* words = ring.Reserve(kHeaderWords + kMaxFrames);
  if (words == nullptr) {
    Check(!model.records.empty());  // an empty ring always has room for one record
    return;
  }
  auto* header = reinterpret_cast<SampleHeader*>(words);
  header->words = kHeaderWords + frames;
  header->kind = RecordKind::kSample;
  header->frames = frames;
  header->time_ns = model.next;
  for (std::uint16_t i = 0; i < frames; ++i) words[kHeaderWords + i] = model.next + i;
  if (!commit) return;
  ring.Commit(header->words);
  model.records.emplace_back(model.next++, frames);
}

void Consume(Ring& ring, Model& model) {
  const SampleHeader* sample = ring.Front();
  Check((sample == nullptr) == model.records.empty());
  if (sample == nullptr) return;
  const auto expected = model.records.front();
  model.records.pop_front();
  Check(sample->time_ns == expected.first && sample->frames == expected.second);
  const auto* frames = reinterpret_cast<const std::uint64_t*>(sample + 1);
  for (std::uint16_t i = 0; i < sample->frames; ++i) Check(frames[i] == expected.first + i);
  ring.Pop();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static void* const memory =
      mmap(nullptr, Ring::kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  RingPool pool;
  pool.Init(memory, 1);
  Ring* ring = pool.Take();
  ring->Reset();
  Model model;
  for (std::size_t i = 0; i + 1 < size; i += 2) {
    const auto frames =
        static_cast<std::uint16_t>((data[i] * 256u + data[i + 1]) % (kMaxFrames + 1));
    switch (data[i] >> 6) {
      case 0:
        Consume(*ring, model);
        break;
      case 1:
        Produce(*ring, model, frames, false);
        break;
      default:
        Produce(*ring, model, frames, true);
        break;
    }
  }
  while (!model.records.empty()) Consume(*ring, model);
  Check(ring->Front() == nullptr);
  return 0;
}
