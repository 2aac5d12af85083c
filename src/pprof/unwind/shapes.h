// What the tests that walk the shapes of testdata/shapes.cc share: the libraries, the tables, the
// stack of the calling thread.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "src/pprof/handler/walk.h"
#include "src/pprof/unwind/module_registry.h"

namespace pprof::unwind {

inline ModuleRegistry& Registry() {
  static ModuleRegistry& registry = *new ModuleRegistry();
  return registry;
}

inline handler::StackBounds OwnStack() {
  pthread_attr_t attributes;
  void* low = nullptr;
  std::size_t size = 0;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &low, &size);
  pthread_attr_destroy(&attributes);
  const auto start = reinterpret_cast<std::uintptr_t>(low);
  return {start, start + size};
}

struct Library {
  explicit Library(const std::string& path, int flags = RTLD_NOW)
      : handle(dlopen(path.c_str(), flags | RTLD_LOCAL)) {
    if (handle == nullptr) ADD_FAILURE() << dlerror();
  }
  ~Library() { dlclose(handle); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  template <class Function>
  Function Find(const char* name) const {
    return reinterpret_cast<Function>(dlsym(handle, name));
  }
  void* handle;
};

// One for each compiler and each set of options.
inline std::vector<std::string> ShapeLibraries() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(SHAPES_DIR)) {
    if (entry.path().extension() == ".so") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace pprof::unwind
