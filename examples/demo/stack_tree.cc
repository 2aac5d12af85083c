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

// Everything below a thread's entry until the stacks part is the same for all: not worth a line
// each.
const Node* SkipCommon(const Node* node, int* skipped) {
  while (node->children.size() == 1 && node->children.begin()->second->children.size() == 1) {
    node = node->children.begin()->second.get();
    ++*skipped;
  }
  return node;
}

void Print(const Node& node, std::int64_t whole, int depth) {
  std::string name = NameOf(node.frame);
  if (name.size() > kNameWidth) name = name.substr(0, kNameWidth - 3) + "...";
  const std::string file(node.frame.file.substr(node.frame.file.rfind('/') + 1));
  std::printf("  %5.1f %%  %*s%s",
              100.0 * static_cast<double>(node.cpu_ns) / static_cast<double>(whole), depth, "",
              name.c_str());
  if (!file.empty())
    std::printf("  %s:%lld", file.c_str(), static_cast<long long>(node.frame.line));
  std::printf("%s\n", node.frame.inlined ? "  (inlined)" : "");
  if (depth >= kMaxDepth) return;
  std::int64_t rest = 0;
  for (const Node* child : node.Sorted()) {
    if (static_cast<double>(child->cpu_ns) >= kSmallest * static_cast<double>(whole)) {
      Print(*child, whole, depth + 1);
    } else {
      rest += child->cpu_ns;
    }
  }
  if (rest > 0 && !node.children.empty()) {
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
  for (const Node* entry : root.Sorted()) {
    int skipped = 0;
    const Node* first = SkipCommon(entry, &skipped);
    if (skipped > 0) std::printf("          (%d frames from the thread's entry)\n", skipped);
    Print(*first, root.cpu_ns, 0);
  }
}

}  // namespace demo
