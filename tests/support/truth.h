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

struct StackFacts {
  bool complete = false;
  bool unlabelled = false;
  std::string inner;   // k of the innermost Inner<k>
  std::string outers;  // ",k,,k2,"
};

inline StackFacts FactsOf(const pprof_reader::Sample& sample, const std::string& entry) {
  StackFacts facts;
  for (const pprof_reader::Frame& frame : sample.frames) {
    const std::string function(frame.function);
    facts.complete = facts.complete || function.find(entry) != std::string::npos;
    facts.unlabelled = facts.unlabelled || function.find("Unlabelled") != std::string::npos;
    if (facts.inner.empty()) facts.inner = TemplateArgument(function, "Inner");
    for (const char* name : {"Outer", "OuterResumed", "OuterSends"}) {
      const std::string outer = TemplateArgument(function, name);
      if (!outer.empty()) facts.outers += "," + outer + ",";
    }
  }
  return facts;
}

// `entry`: a function that every complete stack has. `to_k`: the k that a label value stands for;
// empty: ignore it. `expected(k)`: whether Inner<k> must carry the label at all. A sample in a
// function called Unlabelled... must not.
inline TruthResult CheckTruth(
    const pprof_reader::Profile& profile, const std::string& entry, const std::string& key,
    const std::function<std::string(const std::string&)>& to_k,
    const std::function<bool(const std::string&)>& expected = [](const std::string&) {
      return true;
    }) {
  TruthResult result;
  for (const pprof_reader::Sample& sample : profile.samples) {
    const StackFacts facts = FactsOf(sample, entry);
    if (!facts.complete) continue;
    result.checked += sample.count;
    const std::string label = to_k(std::string(sample.Label(key)));
    if (!label.empty()) result.labelled += sample.count;
    std::string why;
    if (!facts.inner.empty() && expected(facts.inner) && facts.inner != label) {
      why = "in Inner<" + facts.inner + "> with label '" + label + "'";
    } else if (facts.unlabelled && !label.empty()) {
      why = "in Unlabelled with label " + label;
    } else if (!label.empty() && facts.outers.find("," + label + ",") == std::string::npos) {
      why = "label " + label + " outside Outer<" + label + ">";
    }
    if (why.empty()) continue;
    result.violations += sample.count;
    if (result.example.empty()) result.example = Describe(sample, why);
  }
  return result;
}

}  // namespace test
