#include "src/pprof/base/pin.h"

#include <dlfcn.h>
#include <link.h>

// A static program has no loader, and its linker warns of whoever names dlopen: it is looked up.
#pragma weak dladdr1
#pragma weak dlsym

namespace pprof::base {

void PinThisModule() noexcept {
  if (dladdr1 == nullptr || dlsym == nullptr) return;
  Dl_info info;
  void* extra = nullptr;
  if (dladdr1(reinterpret_cast<const void*>(&PinThisModule), &info, &extra, RTLD_DL_LINKMAP) == 0) {
    return;
  }
  const auto* module = static_cast<const link_map*>(extra);
  if (module == nullptr || module->l_name == nullptr || module->l_name[0] == '\0') return;
  using Open = void* (*)(const char*, int);
  const auto open = reinterpret_cast<Open>(dlsym(RTLD_DEFAULT, "dlopen"));
  if (open == nullptr) return;
  static_cast<void>(open(module->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE));  // never closed
}

}  // namespace pprof::base
