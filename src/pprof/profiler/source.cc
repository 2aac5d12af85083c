// CPU profiles as a ProfileSource: windows of the sampler, symbolized and encoded.

#include <pprof/profile_source.h>

#include <new>
#include <string>
#include <utility>

#include "src/pprof/base/status.h"
#include "src/pprof/encode/limited_encoder.h"
#include "src/pprof/profiler/shared_symbolizer.h"
#include "src/pprof/profiler/source.h"
#include "src/pprof/sampler/copies.h"
#include "src/pprof/sampler/sampler.h"

namespace pprof {
namespace {

using sampler::Sampler;
using sampler::Window;

constexpr int kMaxRate = 1000;

class CpuWindow final : public ProfileWindow {
 public:
  explicit CpuWindow(std::unique_ptr<Window> window)
      : window_(std::move(window)), fork_generation_(Sampler::ForkGeneration()) {
    rate_ = static_cast<int>(1000000000 / window_->period_ns);
  }

  ~CpuWindow() override {
    // In a fork child nobody fills the window any more.
    if (window_ != nullptr && OfThisProcess()) Sampler::Get().Stop(window_.get());
  }
  CpuWindow(const CpuWindow&) = delete;
  CpuWindow& operator=(const CpuWindow&) = delete;

  Result<EncodedWindow> Cut(const ProfileLimits& limits) noexcept override {
    if (Status status = Check(); !status.ok()) return status;
    try {
      auto next = std::make_unique<Window>();
      Status status = Sampler::Get().Cut(window_.get(), next.get());
      if (!status.ok()) return status;
      std::swap(window_, next);
      return Encode(*next, limits);
    } catch (...) {
      return NoMemory();
    }
  }

  Result<EncodedWindow> Stop(const ProfileLimits& limits) noexcept override {
    if (Status status = Check(); !status.ok()) return status;
    Sampler::Get().Stop(window_.get());
    const std::unique_ptr<Window> closed = std::move(window_);  // freed with this call
    try {
      return Encode(*closed, limits);
    } catch (...) {
      return NoMemory();
    }
  }

  int rate() const noexcept override { return rate_; }

 private:
  bool OfThisProcess() const { return fork_generation_ == Sampler::ForkGeneration(); }

  Status Check() const noexcept {
    if (window_ == nullptr) {
      return base::MakeStatus(Status::Code::kStopped, "the profile was stopped before");
    }
    if (OfThisProcess()) return {};
    return base::MakeStatus(Status::Code::kStopped,
                            "the profile was started before fork() and belongs to the parent "
                            "process; start another one in the child");
  }

  static EncodedWindow Encode(const Window& window, const ProfileLimits& limits) {
    return encode::EncodeLimited(profiler::AssembleShared(window), limits);
  }
  static Status NoMemory() {
    return base::MakeStatus(Status::Code::kUnavailable, "no memory to assemble the profile");
  }

  std::unique_ptr<Window> window_;
  int rate_ = 0;
  std::uint32_t fork_generation_;
};

class CpuSource final : public ProfileSource {
 public:
  Result<std::unique_ptr<ProfileWindow>> Open(int rate) noexcept override {
    try {
      Status status = profiler::CheckRate(rate);
      if (!status.ok()) return status;
      auto window = std::make_unique<Window>();
      status = Sampler::Get().Start(window.get(), rate);
      if (!status.ok()) {
        sampler::SayRefusedClaim();
        return status;
      }
      return std::unique_ptr<ProfileWindow>(MakeStarted(std::move(window)));
    } catch (...) {
      return base::MakeStatus(Status::Code::kUnavailable, "no memory to start a profile");
    }
  }

 private:
  // The sampler must not keep a window that nobody owns.
  static std::unique_ptr<ProfileWindow> MakeStarted(std::unique_ptr<Window> window) {
    Window* const started = window.get();
    void* memory = ::operator new(sizeof(CpuWindow), std::nothrow);
    if (memory == nullptr) {
      Sampler::Get().Stop(started);
      throw std::bad_alloc();
    }
    return std::unique_ptr<ProfileWindow>(new (memory) CpuWindow(std::move(window)));
  }
};

}  // namespace

Status profiler::CheckRate(int rate) {
  if (rate >= 1 && rate <= kMaxRate) return {};
  return {Status::Code::kInvalidArgument,
          "rate is " + std::to_string(rate) + " Hz: choose 1 to 1000, 100 is usual"};
}

ProfileSource& CpuProfileSource() noexcept {
  alignas(CpuSource) static char storage[sizeof(CpuSource)];
  static auto* const source = new (storage) CpuSource();  // never destroyed
  return *source;
}

LibraryThread::LibraryThread() noexcept {
  try {
    Sampler::Get().AddThisThread();
  } catch (...) {  // no memory for the sampler: the thread counts as an ordinary one
  }
}

LibraryThread::~LibraryThread() { Sampler::RemoveThisThread(); }

}  // namespace pprof
