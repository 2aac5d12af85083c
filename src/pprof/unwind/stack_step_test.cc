// Walks real stacks at every instruction of code that several compilers made with several options,
// and compares with the true stack and with libunwind's. With OTELPROF_LONG set, libunwind is asked
// at every stop, otherwise at the first few stops of each instruction.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "src/pprof/unwind/shapes.h"
#include "src/pprof/unwind/single_step.h"
#include "src/pprof/unwind/unwind_oracle.h"

namespace pprof::unwind {
namespace {

bool Long() { return std::getenv("OTELPROF_LONG") != nullptr; }

// The code of the loaded module whose path holds `name`.
CodeSpan CodeOf(const std::string& name) {
  for (const auto& module : Registry().Current()->modules) {
    if (module->path.find(name) != std::string::npos) return {module->start, module->limit};
  }
  ADD_FAILURE() << name << " is not loaded";
  return {0, 0};
}

// The function, as far as its name is exported.
std::string FunctionAt(std::uint64_t pc) {
  Dl_info info = {};
  if (dladdr(reinterpret_cast<void*>(pc), &info) == 0) return "?";
  const auto base = reinterpret_cast<std::uint64_t>(info.dli_fbase);
  char text[256];
  std::snprintf(text, sizeof text, "%s %s",
                std::filesystem::path(info.dli_fname).filename().c_str(),
                info.dli_sname == nullptr ? "" : info.dli_sname);
  if (info.dli_sname != nullptr) return text;
  std::snprintf(text, sizeof text, "%s+0x%llx..",
                std::filesystem::path(info.dli_fname).filename().c_str(),
                static_cast<unsigned long long>((pc - base) & ~std::uint64_t{0xff}));
  return text;
}

using Count = unsigned long long;

void Print(const char* what, const StepCounts& counts) {
  std::printf(
      "  %-12s %8llu stops, %llu not the truth; libunwind: of %llu %llu not the truth, right where "
      "ours is not at %llu, at the entry %llu, ours differs at %llu\n",
      what, Count{counts.stops}, Count{counts.wrong}, Count{counts.oracle_asked},
      Count{counts.oracle_wrong}, Count{counts.only_ours_wrong}, Count{counts.oracle_entry},
      Count{counts.oracle_differs});
}

// Steps of any number of runs, and where walks went wrong.
struct Total {
  StepCounts plain, exceptions;
  std::map<std::string, StepCounts> wrong_at;

  void Add(const std::string& name, const StepResult& result) {
    std::printf("%s, %u deep\n", name.c_str(), result.deepest);
    Print("plain", result.plain);
    Print("exceptions", result.apart);
    plain.Add(result.plain);
    exceptions.Add(result.apart);
    for (const StepPlace& place : result.places) {
      if (place.counts.wrong + place.counts.oracle_differs == 0) continue;
      const std::string end = " (end " + std::to_string(static_cast<int>(place.end)) + ")";
      wrong_at[FunctionAt(place.pc) + end].Add(place.counts);
    }
  }

  // The bounds of every run of these tests. The exception runtime is counted apart: before it lands
  // in a handler it overwrites the saved registers of its own frame with the handler's, and its
  // call-frame information cannot say so; libunwind fails at the same stops.
  void Expect() const {
    std::printf("all\n");
    Print("plain", plain);
    Print("exceptions", exceptions);
    for (const auto& [where, counts] : wrong_at) {
      std::printf("    %s:", where.c_str());
      Print("", counts);
    }
    EXPECT_LE(plain.wrong * 1000, plain.stops);
    EXPECT_LE(exceptions.wrong * 20, exceptions.stops);
    for (const StepCounts& counts : {plain, exceptions}) {
      EXPECT_LE(counts.oracle_differs * 1000, counts.oracle_entry);
      EXPECT_LE(counts.only_ours_wrong * 1000, counts.oracle_asked);
      EXPECT_GE(counts.oracle_entry * 100, counts.oracle_asked * 95);
    }
  }
};

StepResult Step(long (*run)()) {
  Registry().Refresh();
  StepOptions options;
  options.stack = OwnStack();
  options.apart = {CodeOf("/libgcc_s.so")};
  options.oracle = AskOracle;
  if (!Long()) options.oracle_stops = 8;
  return StepThrough(run, options);
}

std::uint64_t StopsIn(const StepResult& result, CodeSpan code) {
  std::uint64_t stops = 0;
  for (const StepPlace& place : result.places) {
    if (place.pc >= code.start && place.pc < code.limit) stops += place.counts.stops;
  }
  return stops;
}

// From its first instruction; dlsym gives the variant that is chosen for this processor.
std::uint64_t StopsAtTheStartOf(const char* function, const StepResult& result) {
  const auto start = reinterpret_cast<std::uint64_t>(dlsym(RTLD_DEFAULT, function));
  return StopsIn(result, {start, start + 16});
}

TEST(StackStep, EqualsTheTruthAndLibunwindAtEveryInstruction) {
  ASSERT_TRUE(OpenOracle()) << "install libunwind8";
  Total total;
  for (const std::string& path : ShapeLibraries()) {
    const Library library(path);
    library.Find<long (*)()>("RunShapes")();  // binds what the C++ library calls for the first time
    const StepResult result = Step(library.Find<long (*)()>("RunShapes"));
    total.Add(std::filesystem::path(path).stem().string(), result);
    EXPECT_GT(result.plain.stops, 10'000u);
    EXPECT_GT(result.deepest, 20u);
    EXPECT_GT(result.apart.stops, 1'000u);
    EXPECT_GT(StopsIn(result, CodeOf("[vdso]")), 10u);
    EXPECT_GT(StopsAtTheStartOf("memcpy", result), 2u);
    EXPECT_GT(StopsAtTheStartOf("malloc", result), 2u);
  }
  EXPECT_GT(total.plain.stops, 100'000u);
  total.Expect();
}

// A library that the other test has loaded may have stayed (g++ has symbols that pin it), and its
// calls are bound.
std::string FreshCopy(const std::string& path) {
  const std::filesystem::path copy =
      std::filesystem::path(testing::TempDir()) /
      ("lazy-" + std::to_string(getpid()) + "-" + std::filesystem::path(path).filename().string());
  std::filesystem::copy_file(path, copy, std::filesystem::copy_options::overwrite_existing);
  return copy.string();
}

// Calls through stubs that the loader still has to bind: the stubs, and its resolver, which keeps
// its frame in a register that its callees save.
TEST(StackStep, EqualsTheTruthAndLibunwindInTheLoadersResolver) {
  ASSERT_TRUE(OpenOracle()) << "install libunwind8";
  const std::vector<std::string> all = ShapeLibraries();
  Total total;
  for (const std::string& path : Long() ? all : std::vector<std::string>{all.front(), all.back()}) {
    const std::string copy = FreshCopy(path);
    const Library library(copy, RTLD_LAZY);
    std::filesystem::remove(copy);
    const StepResult result = Step(library.Find<long (*)()>("RunShapes"));
    total.Add(std::filesystem::path(path).stem().string() + ", bound lazily", result);
    EXPECT_GT(StopsIn(result, CodeOf("/ld-linux")), 10'000u);
  }
  total.Expect();
}

// What libcrypto's assembly is called through. Declared here: only the library is needed, no
// headers.
struct Crypto {
  void* (*big_number)();
  int (*from_hex)(void** number, const char* hex);
  void* (*context)();
  int (*power)(void* result, const void* base, const void* exponent, const void* modulus, void*);
  int (*power_constant_time)(void* result, const void* base, const void* exponent,
                             const void* modulus, void* context, void* montgomery);
  unsigned char* (*sha1)(const unsigned char*, std::size_t, unsigned char*);
  unsigned char* (*sha256)(const unsigned char*, std::size_t, unsigned char*);
  unsigned char* (*sha512)(const unsigned char*, std::size_t, unsigned char*);
};
Crypto g_crypto;

// base ^ 65537 modulo an odd number of `words` words.
void Exponentiate(std::size_t words) {
  void* numbers[3] = {};
  const std::string hex = std::string(16 * words - 1, 'd') + "b";
  g_crypto.from_hex(&numbers[0], hex.substr(1).c_str());
  g_crypto.from_hex(&numbers[1], "10001");
  g_crypto.from_hex(&numbers[2], hex.c_str());
  static void* const result = g_crypto.big_number();
  static void* const context = g_crypto.context();
  g_crypto.power(result, numbers[0], numbers[1], numbers[2], context);
  g_crypto.power_constant_time(result, numbers[0], numbers[1], numbers[2], context, nullptr);
}

long RunCrypto() {
  for (const std::size_t words : {3u, 4u}) Exponentiate(words);
  for (const std::size_t words : {8u, 12u, 16u}) {
    if (Long()) Exponentiate(words);
  }
  unsigned char data[400] = {1, 2, 3};
  g_crypto.sha1(data, sizeof data, data);
  g_crypto.sha256(data, sizeof data, data);
  g_crypto.sha512(data, sizeof data, data);
  return data[0];
}

// Hand-written assembly, with CFAs that DWARF expressions compute.
TEST(StackStep, EqualsTheTruthAndLibunwindInAssembly) {
  ASSERT_TRUE(OpenOracle()) << "install libunwind8";
  if (dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL) == nullptr) {
    GTEST_SKIP() << "libssl3 is not installed";
  }
  const Library library("libcrypto.so.3");
  g_crypto = {library.Find<void* (*)()>("BN_new"),
              library.Find<decltype(Crypto::from_hex)>("BN_hex2bn"),
              library.Find<void* (*)()>("BN_CTX_new"),
              library.Find<decltype(Crypto::power)>("BN_mod_exp"),
              library.Find<decltype(Crypto::power_constant_time)>("BN_mod_exp_mont_consttime"),
              library.Find<decltype(Crypto::sha1)>("SHA1"),
              library.Find<decltype(Crypto::sha256)>("SHA256"),
              library.Find<decltype(Crypto::sha512)>("SHA512")};
  RunCrypto();
  const StepResult result = Step(RunCrypto);
  EXPECT_GT(StopsIn(result, CodeOf("/libcrypto")), 20'000u);
  EXPECT_EQ(result.apart.stops, 0u);
  Total total;
  total.Add("libcrypto", result);
  total.Expect();
}

}  // namespace
}  // namespace pprof::unwind
