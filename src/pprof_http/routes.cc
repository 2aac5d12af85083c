#include "src/pprof_http/routes.h"

#include <atomic>
#include <charconv>
#include <chrono>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include "src/pprof_http/spans_routes.h"
#include "src/pprof_http/target.h"

namespace pprof_http {
namespace {

using pprof::Status;

constexpr std::string_view kPrefix = "/debug/pprof/";
constexpr int kDefaultSeconds = 30;
constexpr int kMaxSeconds = 600;
// Each may hold megabytes of samples; more at once is a mistake or an attack.
constexpr int kMaxProfiles = 16;
constexpr auto kPoll = std::chrono::milliseconds(50);

constexpr std::string_view kIndex = R"(<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>/debug/pprof/</title></head>
<body>
<h1>/debug/pprof/</h1>
<ul>
<li><a href="profile?seconds=10">profile?seconds=10</a>: CPU profile of the next seconds (1 to 600), for <code>go tool pprof</code></li>
<li><a href="cmdline">cmdline</a>: how this program was started, arguments separated by NUL</li>
<li><a href="../spans">/debug/spans</a>: operations, traces and span flame graphs, if this program watches its spans</li>
<li><a href="stats">stats</a>: counters of the profiler, what it lost among them</li>
</ul>
</body>
</html>
)";

struct Missing {
  std::string_view name;
  std::string_view why;
};
// Routes of net/http/pprof that scrapers ask for without being told.
constexpr Missing kMissing[] = {
    {"heap", "heap profiles are not available from a C++ program"},
    {"allocs", "allocation profiles are not available from a C++ program"},
    {"goroutine", "a C++ program has no goroutines"},
    {"threadcreate", "thread creation profiles are not available from a C++ program"},
    {"block", "blocking profiles are not available from a C++ program"},
    {"mutex", "mutex profiles are not available from a C++ program"},
    {"trace", "execution traces are a feature of the Go runtime"},
    {"symbol", "profiles from here carry their symbols"},
};

Response Text(int status, std::string body) {
  return {status,
          {{"Content-Type", "text/plain; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}},
          std::move(body)};
}

Response Sentence(int status, std::string_view sentence) {
  return Text(status, std::string(sentence) + "\n");
}

// nullopt: not a number of seconds that is allowed.
std::optional<int> ReadSeconds(std::string_view target) {
  const std::optional<std::string> text = QueryValue(target, "seconds");
  if (!text) return kDefaultSeconds;
  int seconds = 0;
  const char* const end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, seconds);
  if (error != std::errc() || stop != end || seconds < 1 || seconds > kMaxSeconds) {
    return std::nullopt;
  }
  return seconds;
}

// A place among the profiles that run at once.
class Slot {
 public:
  Slot() : taken_(taken_slots().fetch_add(1) < kMaxProfiles) {}
  ~Slot() { taken_slots().fetch_sub(1); }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  bool taken() const { return taken_; }

 private:
  static std::atomic<int>& taken_slots() {
    static std::atomic<int> slots{0};
    return slots;
  }
  bool taken_;
};

// False: cancelled before the time was over.
bool Wait(std::chrono::seconds time, const std::function<bool()>& cancelled) {
  const auto end = std::chrono::steady_clock::now() + time;
  for (;;) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= end) return true;
    if (cancelled && cancelled()) return false;
    std::this_thread::sleep_for(std::min<std::chrono::steady_clock::duration>(kPoll, end - now));
  }
}

Response ProfileHeaders() {
  return {200,
          {{"Content-Type", "application/octet-stream"},
           {"Content-Disposition", "attachment; filename=\"profile.pb.gz\""},
           {"X-Content-Type-Options", "nosniff"}},
          {}};
}

Response Failed(const Status& status) { return Sentence(503, status.message); }

Response Profile(const Request& request, pprof::ProfileSource& source) {
  const std::optional<int> seconds = ReadSeconds(request.target);
  if (!seconds) return Sentence(400, "seconds must be a whole number from 1 to 600");
  if (request.method == "HEAD") return ProfileHeaders();
  const Slot slot;
  if (!slot.taken()) {
    Response busy = Sentence(503, "16 profiles are being taken already; try again later");
    busy.headers.emplace_back("Retry-After", std::to_string(*seconds));
    return busy;
  }
  constexpr int kRate = 100;  // as Go; whatever runs already keeps its own
  auto window = source.Open(kRate);
  if (!window.ok()) return Failed(window.status());
  if (!Wait(std::chrono::seconds(*seconds), request.cancelled)) {
    return Sentence(503, "cancelled");  // nobody listens
  }
  auto stopped = (*window)->Stop({});
  if (!stopped.ok()) return Failed(stopped.status());
  Response response = ProfileHeaders();
  response.body = std::move(stopped->profiles.front().gzip);
  return response;
}

Response Cmdline() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::string arguments{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!arguments.empty() && arguments.back() == '\0') arguments.pop_back();
  return Text(200, std::move(arguments));
}

Response RouteName(std::string_view name, const Request& request, pprof::ProfileSource& source) {
  if (name.empty()) {
    return {200,
            {{"Content-Type", "text/html; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}},
            std::string(kIndex)};
  }
  if (name == "profile") return Profile(request, source);
  if (name == "cmdline") return Cmdline();
  if (name == "stats") {
    return {200,
            {{"Content-Type", "application/json"}, {"X-Content-Type-Options", "nosniff"}},
            StatsJson(pprof::ReadStats())};
  }
  for (const Missing& missing : kMissing) {
    if (name == missing.name) return Sentence(404, missing.why);
  }
  return Sentence(404, "unknown path; /debug/pprof/ lists what is here");
}

}  // namespace

Response Route(const Request& request, pprof::ProfileSource& source) {
  if (IsSpansPath(PathOf(request.target))) return RouteSpans(request);
  if (request.method != "GET" && request.method != "HEAD") {
    Response refused = Sentence(405, "only GET and HEAD are answered");
    refused.headers.emplace_back("Allow", "GET, HEAD");
    return refused;
  }
  const std::string_view path = PathOf(request.target);
  if (path == kPrefix.substr(0, kPrefix.size() - 1)) {
    Response moved = Sentence(301, "see /debug/pprof/");
    moved.headers.emplace_back("Location", kPrefix);
    return moved;
  }
  Response response = path.substr(0, kPrefix.size()) == kPrefix
                          ? RouteName(path.substr(kPrefix.size()), request, source)
                          : Sentence(404, "unknown path; /debug/pprof/ lists what is here");
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

Response Handle(const Request& request) noexcept {
  try {
    return Route(request, pprof::CpuProfileSource());
  } catch (...) {  // no memory, or what `cancelled` threw
    return {503, {}, {}};
  }
}

}  // namespace pprof_http
