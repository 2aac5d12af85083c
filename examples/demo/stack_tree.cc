// The text tree of stacks that the report prints.

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "examples/demo/report.h"

namespace demo {
namespace {

constexpr double kSmallest = 0.03;  // of the whole: smaller branches are summed up
constexpr std::size_t kNameWidth = 88;
constexpr int kMaxDepth = 24;

struct Node {
  std::int64_t cpu_ns = 0;
  pprof_reader::Frame frame;
  std::map<std::string, std::unique_ptr<Node>> children;

  std::vector<const Node*> Sorted() const {
    std::vector<const Node*> sorted;
    for (const auto& entry : children) sorted.push_back(entry.second.get());
    std::sort(sorted.begin(), sorted.end(),
              [](const Node* a, const Node* b) { return a->cpu_ns > b->cpu_ns; });
    return sorted;
  }
};

std::string NameOf(const pprof_reader::Frame& frame) {
  if (!frame.function.empty()) return std::string(frame.function);
  char address[32];
  std::snprintf(address, sizeof address, "0x%llx", static_cast<unsigned long long>(frame.address));
  return std::string(frame.module) + " " + address;
}

void Add(Node& root, const pprof_reader::Sample& sample) {
  Node* node = &root;
  node->cpu_ns += sample.cpu_ns;
  for (auto frame = sample.frames.rbegin(); frame != sample.frames.rend(); ++frame) {
    auto& child = node->children[NameOf(*frame)];
    if (child == nullptr) {
      child = std::make_unique<Node>();
      child->frame = *frame;
    }
    node = child.get();
    node->cpu_ns += sample.cpu_ns;
  }
}

bool Small(const Node& node, std::int64_t whole) {
  return static_cast<double>(node.cpu_ns) < kSmallest * static_cast<double>(whole);
}

// Frames of the C++ and C libraries between the program's own functions say little: they are
// counted, not printed.
bool FromLibrary(const pprof_reader::Frame& frame) {
  return frame.file.empty() || frame.file.substr(0, 5) == "/usr/" ||
         frame.file.substr(0, 2) == "./";
}

// Down a chain without branches to the next frame worth a line.
const Node* SkipChain(const Node* node, int* skipped) {
  while (node->children.size() == 1 && FromLibrary(node->frame)) {
    node = node->children.begin()->second.get();
    ++*skipped;
  }
  return node;
}

void PrintLine(const Node& node, std::int64_t whole, int depth, int skipped) {
  std::string name = NameOf(node.frame);
  if (name.size() > kNameWidth) name = name.substr(0, kNameWidth - 3) + "...";
  const std::string file(node.frame.file.substr(node.frame.file.rfind('/') + 1));
  std::printf("  %5.1f %%  %*s%s",
              100.0 * static_cast<double>(node.cpu_ns) / static_cast<double>(whole), depth, "",
              name.c_str());
  if (!file.empty())
    std::printf("  %s:%lld", file.c_str(), static_cast<long long>(node.frame.line));
  if (node.frame.inlined) std::printf("  (inlined)");
  if (skipped > 0) std::printf("  [through %d library frames]", skipped);
  std::printf("\n");
}

void Print(const Node& start, std::int64_t whole, int depth) {
  int skipped = 0;
  const Node& node = *SkipChain(&start, &skipped);
  PrintLine(node, whole, depth, skipped);
  if (depth >= kMaxDepth) return;
  std::int64_t rest = 0;
  for (const Node* child : node.Sorted()) {
    if (Small(*child, whole)) {
      rest += child->cpu_ns;
    } else {
      Print(*child, whole, depth + 1);
    }
  }
  if (rest > 0) {
    std::printf("  %5.1f %%  %*s(smaller branches)\n",
                100.0 * static_cast<double>(rest) / static_cast<double>(whole), depth + 1, "");
  }
}

}  // namespace

void PrintStackTree(const std::vector<const pprof_reader::Sample*>& samples) {
  Node root;
  for (const pprof_reader::Sample* sample : samples) Add(root, *sample);
  if (root.cpu_ns == 0) {
    std::printf("    no sample: the trace used less CPU time than one sampling period\n");
    return;
  }
  for (const Node* entry : root.Sorted()) Print(*entry, root.cpu_ns, 0);
}

}  // namespace demo
