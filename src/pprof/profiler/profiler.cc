// The public API of <pprof/profile.h>: opens a window, closes it, writes what it holds.

#include <errno.h>
#include <fcntl.h>
#include <pprof/profile.h>
#include <pprof/profile_source.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "src/pprof/base/log.h"
#include "src/pprof/base/status.h"
#include "src/pprof/profiler/source.h"

namespace pprof {
namespace {

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
    auto window = CpuProfileSource().Open(rate);
    if (!window.ok()) return window.status();
    window_ = std::move(*window);
    return {};
  }

  Status Stop() {
    if (window_ == nullptr) return {Status::Code::kStopped, "the profile was stopped before"};
    const std::unique_ptr<ProfileWindow> window = std::move(window_);
    rate_ = window->rate();
    auto encoded = window->Stop({});
    if (!encoded.ok()) return encoded.status();
    return Write(encoded->profiles.front().gzip);
  }

  bool running() const { return window_ != nullptr; }
  int rate() const { return running() ? window_->rate() : rate_; }

 private:
  // In pieces, so that a slow receiver can give up early.
  Status Write(std::string_view bytes) {
    constexpr std::size_t kPiece = std::size_t{64} * 1024;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(kPiece, bytes.size()))) {
      if (write_(bytes.substr(0, kPiece))) continue;
      if (!io_status_.ok()) return io_status_;
      return {Status::Code::kIo, "the profile was not written: the write function gave up"};
    }
    return {};
  }

  std::unique_ptr<ProfileWindow> window_;
  int rate_ = 0;  // of the window that was stopped
  WriteFunction write_;
  Status io_status_;
  int owned_fd_ = -1;
};

namespace {

template <class Sink>
Result<CpuProfile> Start(const CpuProfileOptions& options, Sink&& set_sink) noexcept {
  try {
    auto impl = std::make_unique<CpuProfile::Impl>();
    Status status = profiler::CheckRate(options.rate);  // before a file is truncated
    if (status.ok()) status = set_sink(*impl);
    if (status.ok()) status = impl->Start(options.rate);
    if (!status.ok()) return status;
    return CpuProfile(std::move(impl));
  } catch (...) {
    return base::MakeStatus(Status::Code::kUnavailable, "no memory to start a profile");
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
  if (impl_ == nullptr) {
    return base::MakeStatus(Status::Code::kStopped, "the profile was moved from");
  }
  try {
    return impl_->Stop();
  } catch (const std::bad_alloc&) {
    return base::MakeStatus(Status::Code::kIo, "no memory to write the profile");
  } catch (...) {
    return base::MakeStatus(Status::Code::kIo, "the write function threw an exception");
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
