// What symbol fixtures are built from: inlined functions, templates, lambdas, local and anonymous
// names, clones, calls through the PLT. <regex> brings some thousand inlined places.
#include <algorithm>
#include <map>
#include <regex>
#include <string>
#include <vector>

namespace {

struct Hidden {
  template <class T>
  __attribute__((noinline)) static T Sum(const std::vector<T>& values) {
    T sum{};
    for (const T& value : values) sum += value;
    return sum;
  }
};

__attribute__((noinline)) int HiddenSort(std::vector<int>* values) {
  std::sort(values->begin(), values->end(), [](int a, int b) { return (a ^ 5) < (b ^ 5); });
  return values->empty() ? 0 : values->front();
}

}  // namespace

static __attribute__((noinline)) int LocalCount(const std::map<std::string, int>& words) {
  int total = 0;
  for (const auto& [word, count] : words) total += word.size() > 3 ? count : 1;
  if (total > 1000000) throw std::string("too many");
  return total;
}

namespace fixture {

class Matcher {
 public:
  explicit Matcher(const std::string& text) : pattern_(text) {}
  int Count(const std::string& text) const;

 private:
  std::regex pattern_;
};

int Matcher::Count(const std::string& text) const {
  return static_cast<int>(std::distance(std::sregex_iterator(text.begin(), text.end(), pattern_), {}));
}

}  // namespace fixture

extern "C" __attribute__((visibility("default"))) int FixtureEntry(const char* text) {
  std::map<std::string, int> words{{text, 1}, {"word", 2}};
  std::vector<int> numbers{3, 1, 2};
  return LocalCount(words) + HiddenSort(&numbers) + Hidden::Sum(numbers) +
         static_cast<int>(Hidden::Sum(std::vector<double>{1, 2})) +
         fixture::Matcher("a+b").Count(text);
}

int main(int, char** argv) { return FixtureEntry(argv[0]); }
