// otel-profiling-view: makes one self-contained page of a pprof file whose samples carry span
// labels.
//
//   otel-profiling-view profile.pb.gz [-o profile.html] [--spans spans.json]
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "tools/view/document.h"

namespace {

constexpr std::streamoff kMaxSpansFile = std::streamoff{128} << 20;

struct Arguments {
  std::string profile;
  std::string page;
  std::string spans;
};

int Usage() {
  std::fputs(
      "usage: otel-profiling-view profile.pb.gz [-o page.html] [--spans spans.json]\n"
      "  profile.pb.gz  a CPU profile in pprof's format, with the labels span_id, span_name, "
      "trace_id\n"
      "  -o             the page to write; profile.html beside profile.pb.gz unless given\n"
      "  --spans        recorded spans, as http://HOST:PORT/debug/spans/data answers\n",
      stderr);
  return 2;
}

bool Parse(int argc, char** argv, Arguments* arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    std::string* value = argument == "-o"        ? &arguments->page
                         : argument == "--spans" ? &arguments->spans
                                                 : nullptr;
    if (value != nullptr && ++i < argc)
      *value = argv[i];
    else if (value != nullptr || argument.substr(0, 1) == "-" || !arguments->profile.empty())
      return false;
    else
      arguments->profile = argument;
  }
  return !arguments->profile.empty();
}

std::string PageBeside(std::string profile) {
  for (const std::string ending : {".gz", ".pb"}) {
    const std::size_t size = profile.size();
    if (size > ending.size() && profile.compare(size - ending.size(), ending.size(), ending) == 0) {
      profile.resize(size - ending.size());
    }
  }
  return profile + ".html";
}

bool ReadSpans(const std::string& path, nlohmann::json* spans, std::string* error) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in || in.tellg() < 0) {
    *error = "cannot open it";
    return false;
  }
  if (in.tellg() > kMaxSpansFile) {
    *error = "too large";
    return false;
  }
  in.seekg(0);
  *spans = nlohmann::json::parse(std::istreambuf_iterator<char>(in),
                                 std::istreambuf_iterator<char>(), nullptr, false);
  if (!spans->is_discarded()) return true;
  *error = "not JSON";
  return false;
}

int Fail(const std::string& path, const std::string& error) {
  std::fprintf(stderr, "otel-profiling-view: %s: %s\n", path.c_str(), error.c_str());
  return 1;
}

int Run(Arguments arguments) {
  std::string error;
  const auto profile = pprof_reader::ReadFile(arguments.profile, &error);
  if (!profile.has_value()) return Fail(arguments.profile, error);
  nlohmann::json document = view::MakeDocument(*profile);
  if (!arguments.spans.empty()) {
    nlohmann::json spans;
    if (!ReadSpans(arguments.spans, &spans, &error) ||
        !view::MergeSpans(spans, &document, &error)) {
      return Fail(arguments.spans, error);
    }
  }
  if (arguments.page.empty()) arguments.page = PageBeside(arguments.profile);
  std::ofstream out(arguments.page, std::ios::binary | std::ios::trunc);
  out << view::MakePage(document);
  if (!out.flush()) return Fail(arguments.page, "cannot write it");
  std::printf("%s\n", arguments.page.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!Parse(argc, argv, &arguments)) return Usage();
  return Run(arguments);
}
