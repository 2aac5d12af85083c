// The SIGPROF handler. It runs on any thread at any instruction: no lock, no allocation, no system
// library beyond allowed_symbols.txt (a test compares). It takes the thread's record from the
// timer's cookie, so it needs no thread-local storage and also works on threads that never called
// this library.
#pragma once

#include <signal.h>

#include <atomic>
#include <cstdint>

namespace pprof::handler {

// What handled SIGPROF before us; nullptr: nothing. Points to memory that is never freed.
extern std::atomic<const struct sigaction*> g_previous;

// Where in the unused end of a siginfo, in words, the copy of this library with that magic notes
// that it passed the signal on. Another copy in the chain has another place.
inline constexpr std::uint32_t kChainMarkSlots = 8;
constexpr std::uint32_t ChainMarkSlot(std::uint32_t magic) { return magic / 2 % kChainMarkSlots; }

// Async-signal-safe.
void OnSigprof(int signal, siginfo_t* info, void* context) noexcept;

}  // namespace pprof::handler
