// What the plugin of these tests exports, as C functions that are looked up by name.
#pragma once

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

struct Plugin {
  void* handle;
  const char* (*start)();            // "" or why not
  bool (*stop)();                    // whether a profile was written
  double (*work)(double);            // CPU seconds, under a label
  unsigned long long (*samples)();   // until now
  unsigned long long (*labelled)();  // samples with a label until now
  int (*log_lines)();                // that the library said until now
};

template <class Function>
void Find(void* handle, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(handle, name));
  if (*function == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    std::exit(1);
  }
}

inline Plugin Load(const char* path) {
  Plugin plugin = {};
  plugin.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (plugin.handle == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    std::exit(1);
  }
  Find(plugin.handle, "plugin_start", &plugin.start);
  Find(plugin.handle, "plugin_stop", &plugin.stop);
  Find(plugin.handle, "plugin_work", &plugin.work);
  Find(plugin.handle, "plugin_samples", &plugin.samples);
  Find(plugin.handle, "plugin_labelled", &plugin.labelled);
  Find(plugin.handle, "plugin_log_lines", &plugin.log_lines);
  return plugin;
}

// Ends the program with what was expected, if it is not so.
#define EXPECT(what)                                                          \
  do {                                                                        \
    if (!(what)) {                                                            \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
      std::_Exit(1);                                                          \
    }                                                                         \
  } while (false)
