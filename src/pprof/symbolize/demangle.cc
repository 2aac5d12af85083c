#include "src/pprof/symbolize/demangle.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>

namespace pprof::symbolize {
namespace {

std::string Cut(std::string text) {
  if (text.size() > kMaxDemangled) text.resize(kMaxDemangled);
  return text;
}

// The demangler calls itself for every level of nesting and for every repeated qualifier, and
// repeats what substitutions name: long runs of such letters are what makes its stack or its output
// explode.
bool IsHostile(const std::string& name) {
  constexpr std::size_t kMaxRun = 256;
  constexpr std::size_t kMaxSubstitutions = 1024;
  std::size_t run = 0, substitutions = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    run = i > 0 && name[i] == name[i - 1] ? run + 1 : 1;
    if (run > kMaxRun) return true;
    if (name[i] == 'S' && ++substitutions > kMaxSubstitutions) return true;
  }
  return false;
}

}  // namespace

std::string Demangle(const std::string& name) {
  if (name.size() < 3 || name.compare(0, 2, "_Z") != 0) return Cut(name);
  if (name.size() > kMaxMangled || IsHostile(name)) return Cut(name);
  const std::size_t at = std::min(name.find('@'), name.size());
  int status = 0;
  char* text = abi::__cxa_demangle(name.substr(0, at).c_str(), nullptr, nullptr, &status);
  if (text == nullptr) return Cut(name);
  struct Free {
    char* memory;
    ~Free() { std::free(memory); }
  } const freed{text};
  return Cut(std::string(text) + name.substr(at));
}

}  // namespace pprof::symbolize
