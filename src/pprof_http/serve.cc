// The public API: a server on a thread of its own.

#include <pprof/log.h>
#include <pprof/profile_source.h>
#include <pprof/span_watch.h>
#include <pprof_http/pprof_http.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

#include "src/pprof_http/address.h"
#include "src/pprof_http/http_server.h"
#include "src/pprof_http/spans_routes.h"
#include "src/pprof_http/target.h"

namespace pprof_http {

using pprof::Status;

namespace {

void Send(const Response& from, httplib::Response* to) {
  std::string type = "text/plain";
  to->status = from.status;
  for (const auto& [name, value] : from.headers) {
    if (name == "Content-Type") {
      type = value;
    } else {
      to->set_header(name, value);
    }
  }
  to->set_content(from.body, type);
}

}  // namespace

class Server::Impl {
 public:
  explicit Impl(const Address& address)
      : address_(address), loopback_(IsLoopback(address.host)), server_(AnswerFunction()) {}
  ~Impl() {
    if (!thread_.joinable()) return;
    server_.Interrupt();
    thread_.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status Start() {
    if (!server_.Listen(&address_)) return CannotListen();
    text_ = FormatAddress(address_);
    return StartThread();
  }

  // Without it the routes say that nobody watches spans.
  void WatchSpans() {
    if (!loopback_) {
      return pprof::Log(pprof::LogLevel::kWarning,
                        "spans are not served on " + text_ + ": only on a loopback address");
    }
    auto watch = pprof::WatchSpans();
    if (!watch.ok()) {
      return pprof::Log(pprof::LogLevel::kWarning,
                        "no spans under /debug/spans: " + watch.status().message);
    }
    watch_ = std::make_unique<pprof::SpanWatch>(std::move(*watch));
  }

  const std::string& text() const { return text_; }
  bool OfThisProcess() const { return pid_ == getpid(); }
  // In a fork child the thread does not exist and cannot be joined; the socket stays the parent's.
  void LetGo() {
    if (thread_.joinable()) thread_.detach();
  }

 private:
  HttpServer::Answer AnswerFunction() {
    return [this](const httplib::Request& request, const std::function<bool()>& cancelled,
                  httplib::Response& response) {
      const std::string host = request.get_header_value("Host");
      if (loopback_ && !host.empty() && !IsLoopback(HostOfHeader(host))) {
        return Send({403, {}, "this server answers requests for localhost only\n"}, &response);
      }
      if (!loopback_ && IsSpansPath(PathOf(request.target))) {
        return Send({403, {}, "spans are served on a loopback address only\n"}, &response);
      }
      const std::string encodings = HttpServer::EncodingsOf(request);
      Send(Handle({request.method, request.target, cancelled, encodings}), &response);
    };
  }

  Status CannotListen() const {
    constexpr int kFirstFreePort = 1024;
    const bool privileged = address_.port > 0 && address_.port < kFirstFreePort;
    return {Status::Code::kUnavailable,
            "cannot listen on " + FormatAddress(address_) +
                ": the port is in use or the address is not of this machine" +
                (privileged ? ", or ports below 1024 need a privilege" : "") +
                "; choose another, or port 0 for any free one"};
  }

  Status StartThread() {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // inherited: the host's signals stay its own
    Status status;
    try {
      thread_ = std::thread([this] {
        const pprof::LibraryThread own;
        server_.Run();
      });
    } catch (...) {
      status = {Status::Code::kUnavailable, "the server's thread cannot be started"};
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return status;
  }

  Address address_;
  const bool loopback_;
  std::string text_;
  std::unique_ptr<pprof::SpanWatch> watch_;
  HttpServer server_;
  std::thread thread_;
  const pid_t pid_ = getpid();
};

Server::Server(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&& other) noexcept {
  Server old(std::move(*this));  // stopped when it goes
  impl_ = std::move(other.impl_);
  return *this;
}

Server::~Server() {
  if (impl_ == nullptr || impl_->OfThisProcess()) return;
  impl_->LetGo();
  // Its locks may be held by threads that do not exist here: neither stopped nor freed.
  static_cast<void>(impl_.release());
}

const std::string& Server::address() const noexcept {
  union Kept {  // never destroyed, no allocation
    Kept() : text() {}
    ~Kept() {}
    std::string text;
  };
  static const Kept kNone;
  return impl_ == nullptr ? kNone.text : impl_->text();
}

namespace {

bool SpansByEnvironment() {
  const char* const value = std::getenv("OTEL_PROFILING_SPANS");
  if (value == nullptr) return false;
  const std::string_view text = value;
  if (text == "true" || text == "1") return true;
  if (!text.empty() && text != "false" && text != "0") {
    pprof::Log(pprof::LogLevel::kWarning,
               "OTEL_PROFILING_SPANS is neither true nor false: spans are not watched");
  }
  return false;
}

}  // namespace

// NOLINTNEXTLINE(performance-unnecessary-value-param): the public signature
pprof::Result<Server> Serve(ServerOptions options) noexcept {
  try {
    const std::optional<Address> address = ParseAddress(options.address);
    if (!address) {
      return Status{Status::Code::kInvalidArgument,
                    "not host:port: \"" + options.address + "\"; for example 127.0.0.1:6060"};
    }
    auto impl = std::make_unique<Server::Impl>(*address);
    Status status = impl->Start();
    if (!status.ok()) return status;
    if (!IsLoopback(address->host)) {
      pprof::Log(pprof::LogLevel::kWarning,
                 "profiles are served on " + impl->text() +
                     ", which other machines may reach: they tell how this program is built and "
                     "what it does");
    }
    if (options.spans || SpansByEnvironment()) impl->WatchSpans();
    return Server(std::move(impl));
  } catch (...) {
    return Status{Status::Code::kUnavailable, "no memory to start a server"};
  }
}

}  // namespace pprof_http
