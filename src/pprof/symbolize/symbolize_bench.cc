// 3,000 addresses of one file to names, lines and inlined frames, beside a whole llvm-symbolizer
// process for the same. The file: this program itself, or the one in SYMBOLIZE_BENCH_FILE.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "src/pprof/symbolize/elf_file.h"
#include "src/pprof/symbolize/symbolizer.h"

namespace {

using pprof::symbolize::ByteSource;
using pprof::symbolize::ElfFile;

std::string File() {
  const char* file = std::getenv("SYMBOLIZE_BENCH_FILE");
  if (file != nullptr) return file;
  char* self = realpath("/proc/self/exe", nullptr);
  const std::string path = self != nullptr ? self : "";
  std::free(self);
  return path;
}

std::vector<std::uint64_t> Addresses() {
  const auto file = ElfFile::Open(ByteSource::OpenFile(File()));
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> pcs;
  const auto* text = file != nullptr ? file->Find(".text") : nullptr;
  for (int i = 0; i < 3000 && text != nullptr; ++i)
    pcs.push_back(text->address + random() % text->size);
  return pcs;
}

// Peak memory since the last reset, in bytes.
double PeakRss() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmHWM:") return status >> word, std::stod(word) * 1024;
  }
  return 0;
}

void BM_Symbolizer(benchmark::State& state) {
  pprof::elf::Module module;
  module.path = module.open_path = File();
  const std::vector<std::uint64_t> pcs = Addresses();
  std::ofstream("/proc/self/clear_refs") << "5";
  const double before = PeakRss();
  for (auto _ : state) {
    pprof::symbolize::Symbolizer symbolizer;
    benchmark::DoNotOptimize(symbolizer.Symbolize(module, pcs));
  }
  state.counters["extra_MB"] = (PeakRss() - before) / (1 << 20);
}
BENCHMARK(BM_Symbolizer)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_LlvmSymbolizer(benchmark::State& state) {
  const std::string input = "/tmp/symbolize_bench_pcs." + std::to_string(getpid());
  std::ofstream out(input);
  for (const std::uint64_t pc : Addresses()) out << "0x" << std::hex << pc << "\n";
  out.close();
  const std::string command =
      "llvm-symbolizer-14 --inlines --obj=" + File() + " < " + input + " > /dev/null";
  for (auto _ : state) {
    if (std::system(command.c_str()) != 0) state.SkipWithError("llvm-symbolizer-14 does not run");
  }
  unlink(input.c_str());
}
BENCHMARK(BM_LlvmSymbolizer)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
