// Loaded and unloaded by dlopen_test while it is sampled.
#include <cstdint>

extern "C" __attribute__((visibility("default"))) std::uint64_t PluginWork(std::uint64_t rounds) {
  std::uint64_t x = 1;
  for (std::uint64_t i = 0; i < rounds; ++i) x = x * 6364136223846793005u + 1442695040888963407u;
  return x;
}
