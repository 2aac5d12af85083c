#include "src/pprof/base/pin.h"

#include <dlfcn.h>
#include <link.h>

// A static program has no loader, and the linker warns of whoever asks for one.
#pragma weak dladdr1
#pragma weak dlopen

namespace pprof::base {

void PinThisModule() noexcept {
  if (dladdr1 == nullptr || dlopen == nullptr) return;
  Dl_info info;
  void* extra = nullptr;
  if (dladdr1(reinterpret_cast<const void*>(&PinThisModule), &info, &extra, RTLD_DL_LINKMAP) == 0) {
    return;
  }
  const auto* module = static_cast<const link_map*>(extra);
  if (module == nullptr || module->l_name == nullptr || module->l_name[0] == '\0') return;
  // Never closed.
  static_cast<void>(dlopen(module->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE));
}

}  // namespace pprof::base
