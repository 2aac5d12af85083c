#include "examples/demo/options.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace demo {
namespace {

bool ParseScope(const std::string& text, otelpyroscope::Scope* scope) {
  if (text == "root")
    *scope = otelpyroscope::Scope::kRootSpan;
  else if (text == "all")
    *scope = otelpyroscope::Scope::kAllSpans;
  else if (text == "none")
    *scope = otelpyroscope::Scope::kNone;
  else
    return false;
  return true;
}

bool ParseSeconds(const char* text, int* seconds) {
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (*text == '\0' || *end != '\0' || value < 1 || value > 3600) return false;
  *seconds = static_cast<int>(value);
  return true;
}

bool ParseOne(const std::string& name, const char* value, Options* options) {
  if (name == "--seconds") return ParseSeconds(value, &options->seconds);
  if (name == "--scope") return ParseScope(value, &options->scope);
  if (name == "--out")
    options->profile_path = value;
  else if (name == "--summary")
    options->summary_path = value;
  else if (name == "--spans")
    options->spans_path = value;
  else
    return false;
  return true;
}

}  // namespace

bool ParseOptions(int argc, char** argv, Options* options) {
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 < argc && ParseOne(argv[i], argv[i + 1], options)) continue;
    std::fprintf(stderr,
                 "%s %s: not understood\nusage: %s [--seconds 1..3600] [--scope root|all|none] "
                 "[--out FILE] [--summary FILE] [--spans FILE]\n",
                 argv[i], i + 1 < argc ? argv[i + 1] : "", argv[0]);
    return false;
  }
  return true;
}

}  // namespace demo
