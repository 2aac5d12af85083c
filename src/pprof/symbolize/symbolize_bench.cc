// 3,000 addresses that were never asked for, to names, lines and inlined frames, beside a whole
// llvm-symbolizer process for the same: in turns, so that a noisy machine is noisy to both. The
// file: SYMBOLIZE_BENCH_FILE of the environment, else the one given at build time. Prints lines for
// tools/run_bench: name value unit budget reference.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
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
using pprof::symbolize::Symbolizer;

constexpr int kRounds = 15;

std::string File() {
  const char* file = std::getenv("SYMBOLIZE_BENCH_FILE");
  return file != nullptr ? file : SYMBOLIZE_BENCH_FILE;
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

template <typename Function>
double Milliseconds(Function function) {
  const auto start = std::chrono::steady_clock::now();
  function();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

bool HasInlinedFrames(const pprof::symbolize::Symbols& symbols) {
  return std::any_of(symbols.frames.begin(), symbols.frames.end(),
                     [](const auto& frames) { return frames.size() > 1; });
}

}  // namespace

int main() {
  const std::vector<std::uint64_t> pcs = Addresses();
  const std::string input = "/tmp/symbolize_bench." + std::to_string(getpid());
  std::ofstream out(input);
  for (const std::uint64_t pc : pcs) out << "0x" << std::hex << pc << "\n";
  out.close();
  const std::string command =
      "llvm-symbolizer-14 --inlines --obj=" + File() + " < " + input + " > /dev/null";
  pprof::elf::Module module;
  module.path = module.open_path = File();
  bool good = true;
  const auto ours = [&] { good &= HasInlinedFrames(Symbolizer().Symbolize(module, pcs)); };
  const auto llvm = [&] { good &= std::system(command.c_str()) == 0; };

  std::ofstream("/proc/self/clear_refs") << "5";
  const double before = PeakRss();
  ours();  // also brings the file into the page cache
  const double memory = PeakRss() - before;
  llvm();
  std::vector<double> our_times, llvm_times, ratios;
  for (int i = 0; i < kRounds && good; ++i) {
    our_times.push_back(Milliseconds(ours));
    llvm_times.push_back(Milliseconds(llvm));
    ratios.push_back(our_times.back() / llvm_times.back());
  }
  unlink(input.c_str());
  if (!good) {
    std::fprintf(stderr, "symbolize_bench: no debug information in %s, or no llvm-symbolizer-14\n",
                 File().c_str());
    return 1;
  }
  std::printf("symbols_3000_new %.4g ms - llvm-symbolizer:%.4gms\n", Median(our_times),
              Median(llvm_times));
  std::printf("symbols_3000_new_beside_llvm %.4g ratio 0.35 llvm-symbolizer\n", Median(ratios));
  std::printf("symbols_3000_new_worst_of_%d %.4g ratio 0.35 llvm-symbolizer\n", kRounds,
              *std::max_element(ratios.begin(), ratios.end()));
  std::printf("symbols_3000_new_memory %.4g MB 64 -\n", memory / (1 << 20));
  return 0;
}
