// CPU time of the client's own threads for one window of 16,000 samples: names and lines of known
// addresses, labels, pprof, gzip, request, push to a server on loopback. 5,000 stacks of 25 frames
// over 3,000 addresses of the code that is loaded here, every sample with ids of its own. Prints a
// "name value unit budget reference" line; 75 ms in a window of 15 s are 0.5 % of a core.

#include <pprof/profile_source.h>
#include <pyroscope/pyroscope.h>
#include <pyroscope/stats.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "src/pprof/encode/limited_encoder.h"
#include "src/pprof/handler/ring.h"
#include "src/pprof/profiler/shared_symbolizer.h"
#include "src/pprof/sampler/timer.h"
#include "src/pprof/sampler/window.h"
#include "src/pprof/unwind/module_registry.h"
#include "src/pyroscope/process.h"
#include "src/pyroscope/push_test_server.h"
#include "tests/support/process.h"

namespace {

using pprof::sampler::Window;

constexpr std::size_t kSamples = 16000;
constexpr std::size_t kStacks = 5000;
constexpr std::size_t kDepth = 25;
constexpr std::size_t kAddresses = 3000;
constexpr int kWindows = 15;

std::vector<std::uint64_t> MakeAddresses(const pprof::elf::ModuleList& list) {
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> addresses(kAddresses);
  for (std::uint64_t& address : addresses) {
    const pprof::elf::Module& module = *list.modules[random() % list.modules.size()];
    address = module.start + random() % (module.limit - module.start);
  }
  return addresses;
}

// Stacks share their root-most frames, as those of a real program do.
std::vector<std::vector<std::uint64_t>> MakeStacks(const std::vector<std::uint64_t>& addresses) {
  std::mt19937_64 random(2);
  std::vector<std::vector<std::uint64_t>> stacks(kStacks);
  for (std::size_t i = 0; i < kStacks; ++i) {
    const std::size_t shared = i == 0 ? 0 : random() % kDepth;
    for (std::size_t frame = 0; frame < kDepth - shared; ++frame) {
      stacks[i].push_back(addresses[random() % addresses.size()]);
    }
    if (shared == 0) continue;
    const std::vector<std::uint64_t>& other = stacks[random() % i];
    stacks[i].insert(stacks[i].end(), other.end() - static_cast<std::ptrdiff_t>(shared),
                     other.end());
  }
  return stacks;
}

// A record as the signal handler writes it.
void AddSample(const std::vector<std::uint64_t>& stack, const std::string& name,
               std::mt19937_64* random, std::uint64_t version, Window* window) {
  pprof::handler::SampleHeader header = {};
  header.kind = pprof::handler::RecordKind::kSample;
  header.weight = 1;
  header.labels = pprof::kSpanIdLabel | pprof::kTraceIdLabel;
  header.span_id = (*random)();
  header.trace_id[0] = (*random)();
  header.trace_id[1] = (*random)();
  header.has_name = 1;
  header.name_bytes = static_cast<std::uint16_t>(name.size());
  header.frames = static_cast<std::uint16_t>(stack.size());
  const std::size_t name_words = (name.size() + 7) / 8;
  const std::size_t header_words = sizeof header / 8;
  std::vector<std::uint64_t> words(header_words + name_words + stack.size());
  header.words = static_cast<std::uint32_t>(words.size());
  std::memcpy(words.data(), &header, sizeof header);
  std::memcpy(words.data() + header_words, name.data(), name.size());
  std::copy(stack.begin(), stack.end(),
            words.begin() + static_cast<std::ptrdiff_t>(header_words + name_words));
  window->aggregate.Add(*reinterpret_cast<const pprof::handler::SampleHeader*>(words.data()),
                        version);
}

const Window& FullWindow() {
  static auto* const window = new Window();
  auto* const registry = new pprof::unwind::ModuleRegistry();  // lives for ever, as in the sampler
  registry->Refresh();
  const auto list = registry->Current();
  window->modules[list->version] = list;
  window->period_ns = 10000000;
  window->start_ns = 1;
  window->end_ns = 15000000001;
  window->wall_start_ns = 1700000000000000000;
  const auto stacks = MakeStacks(MakeAddresses(*list));
  std::mt19937_64 random(3);
  for (std::size_t i = 0; i < kSamples; ++i) {
    AddSample(stacks[i % kStacks], "GET /route/" + std::to_string(i % 20), &random, list->version,
              window);
  }
  return *window;
}

// Every window holds the same samples.
class FullWindows final : public pprof::ProfileSource {
 public:
  pprof::Result<std::unique_ptr<pprof::ProfileWindow>> Open(int) noexcept override {
    return std::unique_ptr<pprof::ProfileWindow>(std::make_unique<Running>());
  }

 private:
  class Running final : public pprof::ProfileWindow {
   public:
    pprof::Result<pprof::EncodedWindow> Cut(const pprof::ProfileLimits& limits) noexcept override {
      static const Window& window = FullWindow();
      return pprof::encode::EncodeLimited(pprof::profiler::AssembleShared(window), limits);
    }
    pprof::Result<pprof::EncodedWindow> Stop(const pprof::ProfileLimits&) noexcept override {
      return pprof::EncodedWindow{};
    }
    int rate() const noexcept override { return 100; }
  };
};

double ClientCpuMs() {
  std::int64_t sum = 0;
  for (const int tid : test::ThreadIds()) {
    std::string name;
    std::getline(std::ifstream("/proc/self/task/" + std::to_string(tid) + "/comm") >> std::ws,
                 name);
    if (name.rfind("pyroscope-", 0) == 0) sum += pprof::sampler::ThreadCpuNs(tid);
  }
  return static_cast<double>(sum) / 1e6;
}

}  // namespace

int main() {
  using namespace std::chrono_literals;
  using pyroscope::internal::TestConnection;
  using pyroscope::internal::TestRequest;
  pyroscope::internal::TestServer server(
      [](const TestRequest&, TestConnection& connection) { connection.Accept(); });
  FullWindows source;
  pyroscope::Config config;
  config.application_name = "push_bench";
  config.server_address = server.url();
  config.upload_interval = 10min;
  pyroscope::internal::Tuning tuning;
  tuning.bytes_per_second = 1e12;  // the pace would only make this last longer
  auto profiler = pyroscope::internal::StartWith(
      config, [](const char*) { return std::string(); }, source, tuning);
  if (!profiler.ok() || !profiler->Flush(120s).ok()) return 1;  // now every address is known
  std::vector<double> costs;
  for (int i = 0; i < kWindows; ++i) {
    const double before = ClientCpuMs();
    if (!profiler->Flush(60s).ok()) return 1;
    costs.push_back(ClientCpuMs() - before);
  }
  if (pyroscope::ReadStats().samples_accepted != kSamples * (kWindows + 1)) return 1;
  std::sort(costs.begin(), costs.end());
  std::printf("push_16000_samples %.4g ms_CPU/window 75 -\n", costs[costs.size() / 2]);
  return 0;
}
