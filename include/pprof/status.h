// Errors are values: nothing in the libraries of this project throws, aborts or exits.
//
//   pprof::Result<pprof::CpuProfile> profile = pprof::StartCpuProfile("cpu.pb.gz");
//   if (!profile.ok()) std::cerr << profile.status().message << '\n';
#pragma once

#include <new>
#include <string>
#include <utility>
#include <variant>

namespace pprof {

// Why something did not work. `message` names cause and remedy in one line and is empty when ok.
struct Status {
  // Numbers are never changed or reused, so that they can be looked up.
  enum class Code {
    kOk = 0,
    kInvalidArgument = 1,  // the caller can mend it: a rate out of range, an empty path
    kIo = 2,               // the operating system or the write function refused
    kUnavailable = 3,      // this process cannot be profiled (now): message says why
    kTimeout = 4,
    kStopped = 5,  // stopped already, or the process forked and this is the child
  };

  Code code = Code::kOk;
  std::string message;

  bool ok() const noexcept { return code == Code::kOk; }
};

// A T, or the Status that says why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) noexcept : value_(std::move(value)) {}   // NOLINT(google-explicit-constructor)
  Result(Status why) noexcept : value_(std::move(why)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const noexcept { return std::holds_alternative<T>(value_); }
  // The reason; an ok Status when there is a value.
  const Status& status() const noexcept {
    // Never destroyed: usable in static destruction. Needs no memory: usable without any.
    alignas(Status) static unsigned char storage[sizeof(Status)];
    static const Status* const kFine = new (static_cast<void*>(storage)) Status();
    const Status* why = std::get_if<Status>(&value_);
    return why != nullptr ? *why : *kFine;
  }

  // REQUIRES: ok().
  T& operator*() noexcept { return *std::get_if<T>(&value_); }
  const T& operator*() const noexcept { return *std::get_if<T>(&value_); }
  T* operator->() noexcept { return std::get_if<T>(&value_); }
  const T* operator->() const noexcept { return std::get_if<T>(&value_); }

 private:
  std::variant<T, Status> value_;
};

}  // namespace pprof
