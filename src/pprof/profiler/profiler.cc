// The public API of <pprof/profile.h>: opens a window, closes it, writes what it holds.

#include <errno.h>
#include <fcntl.h>
#include <pprof/profile.h>
#include <unistd.h>

#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "src/pprof/base/log.h"
#include "src/pprof/encode/pprof_encoder.h"
#include "src/pprof/profiler/assemble.h"
#include "src/pprof/profiler/shared_symbolizer.h"
#include "src/pprof/sampler/sampler.h"

namespace pprof {
namespace {

constexpr int kMaxRate = 1000;

Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      return {Status::Code::kIo,
              std::string("the profile cannot be written: ") + std::strerror(errno)};
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

class CpuProfile::Impl {
 public:
  Impl() = default;
  ~Impl() {
    if (owned_fd_ >= 0) close(owned_fd_);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // Exactly one of these before Start.
  void WriteTo(WriteFunction write) { write_ = std::move(write); }
  void WriteTo(int fd, bool owned) {
    if (owned) owned_fd_ = fd;
    write_ = [this, fd](std::string_view bytes) {
      io_status_ = WriteAll(fd, bytes);
      return io_status_.ok();
    };
  }

  Status Start(int rate) {
    window_ = std::make_unique<sampler::Window>();
    Status started = sampler::Sampler::Get().Start(window_.get(), rate);
    running_ = started.ok();
    if (running_) rate_ = static_cast<int>(1000000000 / window_->period_ns);
    fork_generation_ = sampler::Sampler::ForkGeneration();
    return started;
  }

  Status Stop() {
    if (!running_) return {Status::Code::kStopped, "the profile was stopped before"};
    running_ = false;
    if (fork_generation_ != sampler::Sampler::ForkGeneration()) {
      return {Status::Code::kStopped,
              "the profile was started before fork() and belongs to the parent process; start "
              "another one in the child"};
    }
    sampler::Sampler::Get().Stop(window_.get());
    const std::unique_ptr<sampler::Window> closed = std::move(window_);  // freed with this call
    return Write(*closed);
  }

  bool running() const { return running_; }
  int rate() const { return rate_; }

 private:
  Status Write(const sampler::Window& window) {
    const std::string bytes = encode::EncodePprof(profiler::AssembleShared(window));
    if (encode::WriteGzip(bytes, write_)) return {};
    if (!io_status_.ok()) return io_status_;
    return {Status::Code::kIo, "the profile was not written: the write function gave up"};
  }

  std::unique_ptr<sampler::Window> window_;
  int rate_ = 0;
  WriteFunction write_;
  Status io_status_;
  int owned_fd_ = -1;
  bool running_ = false;
  std::uint32_t fork_generation_ = 0;
};

namespace {

template <class Sink>
Result<CpuProfile> Start(const CpuProfileOptions& options, Sink&& set_sink) noexcept {
  if (options.rate < 1 || options.rate > kMaxRate) {
    return Status{Status::Code::kInvalidArgument, "rate is " + std::to_string(options.rate) +
                                                      " Hz: choose 1 to 1000, 100 is usual"};
  }
  try {
    auto impl = std::make_unique<CpuProfile::Impl>();
    Status status = set_sink(*impl);
    if (status.ok()) status = impl->Start(options.rate);
    if (!status.ok()) return status;
    return CpuProfile(std::move(impl));
  } catch (...) {
    return Status{Status::Code::kUnavailable, "no memory to start a profile"};
  }
}

}  // namespace

CpuProfile::CpuProfile(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
CpuProfile::CpuProfile(CpuProfile&&) noexcept = default;

CpuProfile& CpuProfile::operator=(CpuProfile&& other) noexcept {
  CpuProfile old(std::move(*this));  // stopped when it goes
  impl_ = std::move(other.impl_);
  return *this;
}

CpuProfile::~CpuProfile() {
  if (impl_ == nullptr || !impl_->running()) return;
  const Status status = Stop();
  // A fork child that destroys the parent's profile has done nothing wrong.
  if (!status.ok() && status.code != Status::Code::kStopped) {
    base::Log(LogLevel::kError, status.message);
  }
}

Status CpuProfile::Stop() noexcept {
  if (impl_ == nullptr) return {Status::Code::kStopped, "the profile was moved from"};
  try {
    return impl_->Stop();
  } catch (const std::bad_alloc&) {
    return {Status::Code::kIo, "no memory to write the profile"};
  } catch (...) {
    return {Status::Code::kIo, "the write function threw an exception"};
  }
}

int CpuProfile::rate() const noexcept { return impl_ == nullptr ? 0 : impl_->rate(); }

Result<CpuProfile> StartCpuProfile(const std::string& path, CpuProfileOptions options) noexcept {
  return Start(options, [&](CpuProfile::Impl& impl) -> Status {
    if (path.empty()) return {Status::Code::kInvalidArgument, "the path is empty: name a file"};
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
      return {Status::Code::kIo, path + " cannot be created: " + std::strerror(errno)};
    }
    impl.WriteTo(fd, true);
    return {};
  });
}

Result<CpuProfile> StartCpuProfile(int fd, CpuProfileOptions options) noexcept {
  return Start(options, [&](CpuProfile::Impl& impl) -> Status {
    if (fcntl(fd, F_GETFD) < 0) {
      return {Status::Code::kInvalidArgument, "the descriptor is not open: " + std::to_string(fd)};
    }
    impl.WriteTo(fd, false);
    return {};
  });
}

Result<CpuProfile> StartCpuProfile(WriteFunction write, CpuProfileOptions options) noexcept {
  return Start(options, [&](CpuProfile::Impl& impl) -> Status {
    if (!write) return {Status::Code::kInvalidArgument, "the write function is empty"};
    impl.WriteTo(std::move(write));
    return {};
  });
}

}  // namespace pprof
