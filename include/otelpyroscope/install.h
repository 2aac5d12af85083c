// Puts our context storage into the OpenTelemetry API. NewTracerProvider does it for the program;
// a shared object with API singletons of its own (loaded RTLD_LOCAL, or linked with a version
// script or -Bsymbolic) asks ContextStorageInstalled() and, if that says false, calls
// InstallContextStorage() itself, from its own code and before its threads use OpenTelemetry.
//
// Installed once. If the application sets a storage of its own afterwards, that is left alone:
// spans get no labels any more unless it forwards to ours, one warning says so and
// Stats::context_storage_lost counts it. The storages are never freed: other threads may be inside
// them at any time, also while the process exits. No lock is taken, so that a fork child finds none
// held. A shared object that installed must not be unloaded.
#pragma once

#include <atomic>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include <opentelemetry/context/context.h>
#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/nostd/unique_ptr.h>

#include <otelpyroscope/context_stack.h>
#include <otelpyroscope/context_storage.h>
#include <otelpyroscope/make_shared.h>
#include <otelpyroscope/namespace.h>
#include <otelpyroscope/span.h>
#include <pprof/trace_context.h>

namespace otelpyroscope {
inline namespace v1 {
namespace internal {

// References to the storage before and to ours, never given back.
struct KeptStorages {
  nostd::shared_ptr<const context::RuntimeContextStorage> old;
  nostd::shared_ptr<context::RuntimeContextStorage> ours;
};

struct Installation {
  std::atomic<bool> begun;
  std::atomic<KeptStorages*> kept;
  std::atomic<const context::RuntimeContextStorage*> storage;  // ours, nullptr before
  std::atomic<DecoratingStorage*> decorating;                  // the same object if it is one
  std::atomic<const context::RuntimeContextStorage*> checked;  // came after us and was dealt with
  std::atomic<const context::RuntimeContextStorage*> lost_to;  // the same if it does not use ours
};

OTELPYROSCOPE_SHARED inline Installation& TheInstallation() noexcept {
  static Installation installation{};
  return installation;
}

inline const context::RuntimeContextStorage* InstalledStorage() noexcept {
  return context::RuntimeContext::GetConstRuntimeContextStorage().get();
}

// True when a context that is attached through the API changes the thread's labels. Tried with an
// unlabelled record and a context without a span, so that no sample can get a label by it.
inline bool AttachReachesLabels() noexcept {
  const pprof::TraceContext unlabelled{};
  const pprof::TraceToken token = pprof::PushTraceContext(&unlabelled);
  if (token == 0) return true;  // no memory: nothing can be found out
  bool reached = false;
  {
    const context::Context probe("otelpyroscope", true);
    const nostd::unique_ptr<context::Token> attached = context::RuntimeContext::Attach(probe);
    reached = pprof::CurrentTraceContext() != &unlabelled;
  }
  pprof::PopTraceContext(token);
  return reached;
}

// A storage that came after ours may forward to it, then nothing is lost. Otherwise what the
// calling thread attached to ours is current no more, and will never be detached: its labels go.
inline void CheckStorage() noexcept {
  Installation& installation = TheInstallation();
  const context::RuntimeContextStorage* ours = installation.storage.load(std::memory_order_acquire);
  const context::RuntimeContextStorage* now = InstalledStorage();
  if (ours == nullptr || now == ours) return;
  if (installation.checked.exchange(now, std::memory_order_relaxed) != now) {
    const bool lost = !AttachReachesLabels();
    installation.lost_to.store(lost ? now : nullptr, std::memory_order_relaxed);
    if (lost) {
      pprof::CountLostContextStorage();
      pprof::LogWarningOnce("otelpyroscope: storage",
                            "otelpyroscope: the OpenTelemetry context storage was replaced after "
                            "NewTracerProvider, so spans no longer label samples; set your storage "
                            "before wrapping the provider");
    }
  }
  if (installation.lost_to.load(std::memory_order_relaxed) == now) ThisThread().stack.Clear();
}

// True for the API's own thread-local storage, from whichever shared object it comes: with hidden
// visibility each has a copy of the class and so a table of its own. Then the name in the type
// information decides, which lies before the table's first entry (Itanium C++ ABI, 2.5.2
// and 2.9.4); code compiled without RTTI has none, and is decorated like a storage of the
// application.
inline bool IsDefaultStorage(const context::RuntimeContextStorage* storage) noexcept {
  const context::ThreadLocalContextStorage default_storage;
  const void* table = VirtualTable(storage);
  if (table == VirtualTable(&default_storage)) return true;
  struct TypeInformation {
    const void* table;
    const char* name;
  };
  const auto* type = static_cast<const TypeInformation* const*>(table)[-1];
  if (type == nullptr) return false;
  const std::string_view name = type->name;
  constexpr std::string_view kEnd = "7context25ThreadLocalContextStorageE";
  return name.find("13opentelemetry") != name.npos && name.size() > kEnd.size() &&
         name.substr(name.size() - kEnd.size()) == kEnd;
}

// nullptr without memory.
inline std::shared_ptr<context::RuntimeContextStorage> MakeStorage(
    context::RuntimeContextStorage* old) noexcept {
  if (IsDefaultStorage(old)) return MakeShared<ReplacingStorage>(old);
  std::shared_ptr<DecoratingStorage> storage = MakeShared<DecoratingStorage>(old);
  TheInstallation().decorating.store(storage.get(), std::memory_order_release);
  return storage;
}

// False without memory.
inline bool InstallNow() noexcept {
  Installation& installation = TheInstallation();
  auto* kept = new (std::nothrow) KeptStorages;
  if (kept == nullptr) return false;
  kept->old = context::RuntimeContext::GetConstRuntimeContextStorage();
  // The API gives it out as const for keeping it alive only; the object itself is not.
  std::shared_ptr<context::RuntimeContextStorage> storage =
      MakeStorage(const_cast<context::RuntimeContextStorage*>(kept->old.get()));
  if (storage == nullptr) {
    delete kept;
    return false;
  }
  kept->ours = nostd::shared_ptr<context::RuntimeContextStorage>(std::move(storage));
  installation.kept.store(kept, std::memory_order_relaxed);
  installation.storage.store(kept->ours.get(), std::memory_order_release);
  context::RuntimeContext::SetRuntimeContextStorage(kept->ours);
  kept->ours->GetCurrent();  // takes over what this thread has attached already
  if (DecoratingStorage* decorating = installation.decorating.load()) decorating->Sync();
  return true;
}

}  // namespace internal

// True when contexts attached by the calling code label the calling thread's samples: the
// self-test. Any thread. Not async-signal-safe.
OTELPYROSCOPE_SHARED inline bool ContextStorageInstalled() noexcept {
  const context::RuntimeContextStorage* ours = internal::TheInstallation().storage.load();
  return (ours != nullptr && internal::InstalledStorage() == ours) ||
         internal::AttachReachesLabels();
}

// Returns false when there is no memory, or when the application replaced our storage: that is
// never undone. Installing again does nothing. Not async-signal-safe; no other thread may use
// OpenTelemetry's contexts at the same time.
OTELPYROSCOPE_SHARED inline bool InstallContextStorage() noexcept {
  internal::RegisterSpanTable();
  internal::Installation& installation = internal::TheInstallation();
  if (installation.begun.exchange(true)) {
    internal::CheckStorage();
    return ContextStorageInstalled();
  }
  if (internal::InstallNow()) return true;
  installation.begun.store(false);
  pprof::CountDroppedLabels();
  return false;
}

// For a storage of the application's own that makes another context current without Attach or
// Detach, for instance when it switches coroutines: call this on that thread afterwards. Not
// async-signal-safe.
OTELPYROSCOPE_SHARED inline void SyncCurrent() noexcept {
  if (auto* decorating = internal::TheInstallation().decorating.load(std::memory_order_acquire)) {
    decorating->Sync();
  }
}

}  // namespace v1
}  // namespace otelpyroscope
