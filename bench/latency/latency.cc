// What a server's clients notice of profiling: throughput and latency of requests over loopback, to
// a server in another process, with profiling off and on in alternating segments.
//
// Two kinds of request: an echo of 64 bytes, and mixed work (words in a map, allocations, zlib).
// Five modes; a result is the median over the rounds, a ratio the median of ratios to the same
// round's segment without profiling, because a machine changes its speed more than profiling costs.
//
// One line a result: name, value, unit, budget ("-": none), reference (the value without).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <opentelemetry/sdk/trace/processor.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/trace/scope.h>
#include <opentelemetry/trace/tracer.h>
#include <otelpyroscope/otelpyroscope.h>
#include <pprof/profile.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace {

namespace nostd = opentelemetry::nostd;
namespace trace = opentelemetry::trace;
namespace sdk = opentelemetry::sdk::trace;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMessageBytes = 64;
constexpr double kSegmentSeconds = 0.4;

struct Mode {
  const char* name;
  int rate;  // 0: no profile
  bool spans;
  bool bridge;
};
constexpr std::array<Mode, 5> kModes = {{{"off", 0, false, false},
                                         {"sdk_spans_alone", 0, true, false},
                                         {"100hz", 100, false, false},
                                         {"100hz_spans", 100, true, true},
                                         {"1000hz", 1000, false, false}}};

using Message = std::array<char, kMessageBytes>;  // [0]: kind of request
enum Kind : char { kEcho, kMixed, kSetMode };     // kSetMode: [1] is the mode

bool Read(int fd, Message& message) {
  std::size_t have = 0;
  while (have < message.size()) {
    const ssize_t got = read(fd, message.data() + have, message.size() - have);
    if (got <= 0) return false;
    have += static_cast<std::size_t>(got);
  }
  return true;
}
bool Write(int fd, const Message& message) {
  return write(fd, message.data(), message.size()) == static_cast<ssize_t>(message.size());
}
void SendAtOnce(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

// --- The server: one connection, one thread, which the kernel profiles as any other.

class DroppingProcessor final : public sdk::SpanProcessor {
 public:
  std::unique_ptr<sdk::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<sdk::SpanData>();
  }
  void OnStart(sdk::Recordable&, const trace::SpanContext&) noexcept override {}
  void OnEnd(std::unique_ptr<sdk::Recordable>&&) noexcept override {}
  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }
};

class Server {
 public:
  Server() {
    auto plain = std::make_shared<sdk::TracerProvider>(std::make_unique<DroppingProcessor>());
    sdk_ = nostd::shared_ptr<trace::TracerProvider>(plain);
    bridge_ = otelpyroscope::NewTracerProvider(sdk_);
    sdk_tracer_ = sdk_->GetTracer("latency");
    bridge_tracer_ = bridge_->GetTracer("latency");
    for (std::size_t i = 0; i < text_.size(); ++i) {
      text_[i] = static_cast<char>('a' + i * i % 23 % 17);
    }
  }

  void Serve(int fd) {
    for (Message message; Read(fd, message);) {
      if (message[0] == kSetMode) {
        SetMode(kModes[static_cast<std::size_t>(message[1])]);
      } else if (mode_.spans) {
        const auto span = (mode_.bridge ? bridge_tracer_ : sdk_tracer_)->StartSpan("request");
        const trace::Scope scope(span);
        Answer(message);
        span->End();
      } else {
        Answer(message);
      }
      if (!Write(fd, message)) break;
    }
  }

 private:
  void SetMode(const Mode& mode) {
    profile_.reset();  // stops, symbolizes and writes
    mode_ = mode;
    if (mode.rate == 0) return;
    auto started = pprof::StartCpuProfile([](std::string_view) { return true; }, {mode.rate});
    if (!started.ok()) {
      std::fprintf(stderr, "no profile: %s\n", started.status().message.c_str());
      std::exit(1);
    }
    profile_ = std::move(*started);
  }

  void Answer(Message& message) {
    if (message[0] != kMixed) return;
    for (int i = 0; i < 200; ++i) {  // the map has 20,000 words at most
      next_ = next_ * 1664525 + 1013904223;
      words_["word" + std::to_string(next_ >> 8)] = i;
      if (words_.size() > 20000) words_.erase(words_.begin());
    }
    std::vector<std::unique_ptr<char[]>> blocks;
    for (std::size_t i = 1; i <= 100; ++i) blocks.push_back(std::make_unique<char[]>(i * 37));
    uLongf size = packed_.size();
    compress2(packed_.data(), &size, reinterpret_cast<const Bytef*>(text_.data()), text_.size(), 1);
    message[1] = static_cast<char>(packed_[size / 2]);
  }

  nostd::shared_ptr<trace::TracerProvider> sdk_, bridge_;
  nostd::shared_ptr<trace::Tracer> sdk_tracer_, bridge_tracer_;
  std::optional<pprof::CpuProfile> profile_;
  Mode mode_ = kModes[0];
  std::map<std::string, int> words_;
  std::uint32_t next_ = 1;
  std::array<char, 16384> text_;
  std::array<Bytef, 32768> packed_;
};

// --- The client: one request after another.

struct Segment {
  double throughput = 0;  // requests a second
  double p50 = 0;         // us
  double p99 = 0;
  double p999 = 0;
};

[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

void Ask(int fd, Message& message) {
  if (!Write(fd, message) || !Read(fd, message)) Fail("server");
}

Segment Run(int fd, Kind kind, double seconds) {
  std::vector<double> us;
  us.reserve(1 << 17);
  const auto start = Clock::now();
  auto before = start;
  while (std::chrono::duration<double>(before - start).count() < seconds) {
    Message message = {kind};
    Ask(fd, message);
    const auto now = Clock::now();
    us.push_back(std::chrono::duration<double, std::micro>(now - before).count());
    before = now;
  }
  std::sort(us.begin(), us.end());
  const auto quantile = [&](double q) {
    return us[static_cast<std::size_t>(static_cast<double>(us.size() - 1) * q)];
  };
  return {static_cast<double>(us.size()) / std::chrono::duration<double>(before - start).count(),
          quantile(0.5), quantile(0.99), quantile(0.999)};
}

// Threads and processes started from now on as well.
void StayOnOneCore() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0) Fail("sched_getaffinity");
  for (int core = 0, found = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &cores) && found++ > 0) CPU_CLR(core, &cores);
  }
  if (sched_setaffinity(0, sizeof(cores), &cores) != 0) Fail("sched_setaffinity");
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

using Rounds = std::vector<std::array<Segment, kModes.size()>>;

void Print(const char* kind, const Rounds& rounds) {
  struct Field {
    const char* name;
    const char* unit;
    double Segment::*value;
  };
  const Field fields[] = {{"throughput", "1/s", &Segment::throughput},
                          {"p50", "us", &Segment::p50},
                          {"p99", "us", &Segment::p99},
                          {"p99.9", "us", &Segment::p999}};
  for (const Field& field : fields) {
    double off = 0;
    for (std::size_t mode = 0; mode < kModes.size(); ++mode) {
      std::vector<double> values, ratios;
      for (const auto& round : rounds) {
        values.push_back(round[mode].*field.value);
        ratios.push_back(round[mode].*field.value / (round[0].*field.value));
      }
      const double value = Median(values);
      if (mode == 0) off = value;
      std::printf("latency/%s/%s/%s %.5g %s - %.5g\n", kind, field.name, kModes[mode].name, value,
                  field.unit, off);
      if (mode == 0) continue;
      std::printf("latency/%s/%s/%s/ratio %.4f ratio - -\n", kind, field.name, kModes[mode].name,
                  Median(ratios));
    }
  }
}

// Each mode is at each place of a round equally often.
void Measure(int fd, const char* name, Kind kind, int count) {
  Rounds rounds(static_cast<std::size_t>(count));
  for (std::size_t round = 0; round < rounds.size(); ++round) {
    for (std::size_t turn = 0; turn < kModes.size(); ++turn) {
      const std::size_t mode = (round + turn) % kModes.size();
      Message message = {kSetMode, static_cast<char>(mode)};
      Ask(fd, message);
      Run(fd, kind, 0.05);  // warms up
      rounds[round][mode] = Run(fd, kind, kSegmentSeconds);
    }
  }
  Print(name, rounds);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 15;
  StayOnOneCore();
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (listener < 0 || bind(listener, any, length) != 0 || listen(listener, 1) != 0 ||
      getsockname(listener, any, &length) != 0) {
    Fail("socket");
  }
  const pid_t child = fork();
  if (child < 0) Fail("fork");
  if (child == 0) {
    const int fd = accept(listener, nullptr, nullptr);
    SendAtOnce(fd);
    Server().Serve(fd);
    return 0;
  }
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, any, length) != 0) Fail("connect");
  SendAtOnce(fd);
  Measure(fd, "echo", kEcho, rounds);
  Measure(fd, "mixed", kMixed, rounds);
  close(fd);
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0 ? 0 : 1;
}
