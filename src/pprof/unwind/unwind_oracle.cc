#include "src/pprof/unwind/unwind_oracle.h"

#include <dlfcn.h>

#include <cerrno>

#define UNW_LOCAL_ONLY
#include <libunwind.h>

namespace pprof::unwind {
namespace {

// The header's names stand for symbols with the architecture in them.
#define OTELPROF_TEXT2(x) #x
#define OTELPROF_TEXT(x) OTELPROF_TEXT2(x)

struct Libunwind {
  decltype(unw_init_local2)* init;
  decltype(unw_step)* step;
  decltype(unw_get_reg)* get_reg;
};
Libunwind g_libunwind;

template <class Function>
bool Find(void* library, const char* name, Function** function) {
  *function = reinterpret_cast<Function*>(dlsym(library, name));
  return *function != nullptr;
}

}  // namespace

bool OpenOracle() {
  static void* const library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
  return library != nullptr && Find(library, OTELPROF_TEXT(unw_init_local2), &g_libunwind.init) &&
         Find(library, OTELPROF_TEXT(unw_step), &g_libunwind.step) &&
         Find(library, OTELPROF_TEXT(unw_get_reg), &g_libunwind.get_reg);
}

std::uint32_t AskOracle(const ucontext_t& context, std::uint64_t* out, std::uint32_t max) {
  const int saved_errno = errno;
  unw_cursor_t cursor;
  auto* const registers = const_cast<ucontext_t*>(&context);  // unw_context_t is a ucontext_t here
  std::uint32_t frames = 0;
  int status = g_libunwind.init(&cursor, registers, UNW_INIT_SIGNAL_FRAME) == 0 ? 1 : -1;
  while (status > 0 && frames < max) {
    unw_word_t pc = 0;
    g_libunwind.get_reg(&cursor, UNW_REG_IP, &pc);
    out[frames] = frames == 0 ? pc : pc - 1;
    ++frames;
    status = g_libunwind.step(&cursor);
  }
  errno = saved_errno;
  return status == 0 ? frames : 0;
}

}  // namespace pprof::unwind
