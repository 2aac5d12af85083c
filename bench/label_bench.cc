// What a label scope costs, linked statically (label_bench) and from the shared library
// (label_bench_shared). Loops with and without the scope alternate; a result is the median over
// pairs. Prints "name value unit budget reference" lines.
#include <pprof/labels.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <vector>

namespace {

using pprof::Labels;
using pprof::LabelScope;
using pprof::LabelSet;

constexpr int kPairs = 1000;
constexpr int kCalls = 4000;  // a segment: well below a scheduler's time slice

// Time on the processor: others may use it too.
double ThreadCpuNs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// ns of one call of f beyond the empty loop.
template <class F>
double CostOf(F&& f) {
  std::vector<double> differences;
  for (int pair = 0; pair < kPairs; ++pair) {
    const double start = ThreadCpuNs();
    for (int i = 0; i < kCalls; ++i) asm volatile("" ::: "memory");
    const double middle = ThreadCpuNs();
    for (int i = 0; i < kCalls; ++i) {
      f();
      asm volatile("" ::: "memory");
    }
    differences.push_back((ThreadCpuNs() - middle - (middle - start)) / kCalls);
  }
  std::sort(differences.begin(), differences.end());
  return differences[differences.size() / 2];
}

void Print(const char* name, double value, const char* budget, const char* reference) {
  std::printf("%s%s %.4g ns %s %s\n", name, LABEL_BENCH_SUFFIX, value, budget, reference);
}

}  // namespace

int main() {
  const LabelSet set = Labels({{"vehicle", "bike"}, {"region", "eu"}});
  const LabelSet inner = Labels({{"step", "sort"}});
  Print("label_scope", CostOf([&] { LabelScope scope(set); }), LABEL_BENCH_BUDGET,
        "Go:pprof.Do:110ns");
  const LabelScope outer(set);
  Print("label_scope_nested", CostOf([&] { LabelScope scope(inner); }), "-", "-");
  Print("labels_built_each_time", CostOf([&] {
          LabelScope scope(Labels({{"k", "v"}}));
        }),
        "-", "-");
}
