// Loaded and unloaded by dlopen_test and symbol_files_test while it is sampled.
#include <cstdint>

extern "C" __attribute__((visibility("default"))) std::uint64_t PluginWork(std::uint64_t rounds) {
  std::uint64_t x = 1;
  for (std::uint64_t i = 0; i < rounds; ++i) x = x * 6364136223846793005u + 1442695040888963407u;
  return x;
}

static __attribute__((noinline)) std::uint64_t HiddenWork(std::uint64_t rounds) {
  std::uint64_t x = 3;
  for (std::uint64_t i = 0; i < rounds; ++i) x = x * 2862933555777941757u + 3037000493u;
  return x;
}

extern "C" __attribute__((visibility("default"))) std::uint64_t PluginCallsHidden(
    std::uint64_t rounds) {
  return HiddenWork(rounds) + 1;
}
