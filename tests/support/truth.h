// Checks labels against stacks: a sample in Inner<k> must carry label k, and a sample with label k
// must lie under Outer<k> (or OuterResumed<k>, ...), which opened it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tests/support/pprof_reader.h"

namespace test {

struct TruthResult {
  std::int64_t checked = 0;   // samples over complete stacks
  std::int64_t labelled = 0;  // of those: with the label
  std::int64_t violations = 0;
  std::string example;
};

// "3" from a frame such as "void truth::Inner<3>()"; empty: not such a frame.
inline std::string TemplateArgument(const std::string& function, const std::string& name) {
  const std::size_t at = function.find(name + "<");
  if (at == std::string::npos) return "";
  const std::size_t start = at + name.size() + 1;
  return function.substr(start, function.find('>', start) - start);
}

inline std::string Describe(const pprof_reader::Sample& sample, const std::string& why) {
  std::string text = why + "; labels:";
  for (const auto& [key, value] : sample.labels)
    text += " " + std::string(key) + "=" + std::string(value);
  text += "; stack:";
  for (const auto& frame : sample.frames) text += " <- " + std::string(frame.function);
  return text;
}

// `entry`: a function that every complete stack has. `to_k`: the k that a label value stands for;
// empty: ignore it.
inline TruthResult CheckTruth(const pprof_reader::Profile& profile, const std::string& entry,
                              const std::string& key,
                              const std::function<std::string(const std::string&)>& to_k) {
  TruthResult result;
  for (const pprof_reader::Sample& sample : profile.samples) {
    std::string inner;
    std::string outers;  // ",k,k2,"
    bool complete = false;
    for (const pprof_reader::Frame& frame : sample.frames) {
      complete = complete || frame.function.find(entry) != std::string::npos;
      const std::string k = TemplateArgument(std::string(frame.function), "Inner");
      if (inner.empty()) inner = k;
      for (const char* name : {"Outer", "OuterResumed", "OuterSends"}) {
        const std::string outer = TemplateArgument(std::string(frame.function), name);
        if (!outer.empty()) outers += "," + outer + ",";
      }
    }
    if (!complete) continue;
    result.checked += sample.count;
    const std::string label = to_k(std::string(sample.Label(key)));
    if (!label.empty()) result.labelled += sample.count;
    std::string why;
    if (!inner.empty() && inner != label)
      why = "in Inner<" + inner + "> with label '" + label + "'";
    if (!label.empty() && outers.find("," + label + ",") == std::string::npos) {
      why = "label " + label + " outside Outer<" + label + ">";
    }
    if (why.empty()) continue;
    result.violations += sample.count;
    if (result.example.empty()) result.example = Describe(sample, why);
  }
  return result;
}

}  // namespace test
