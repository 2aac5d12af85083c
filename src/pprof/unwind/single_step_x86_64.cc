#include <signal.h>
#include <ucontext.h>

#include "src/pprof/unwind/single_step.h"

namespace pprof::unwind {
namespace {

constexpr greg_t kTrapFlag = 0x100;
constexpr std::uint32_t kMaxDepth = 2048;

struct Call {
  std::uint64_t slot;  // where the return address stands
  std::uint64_t return_address;
};

// All that the trap handler works with; one stepping at a time.
struct Stepper {
  bool running;
  handler::StackBounds stack;
  const std::vector<CodeSpan>* apart;
  std::uint64_t last_pc, last_sp;
  Call calls[kMaxDepth];
  std::uint32_t depth;
  std::uint64_t base[kMaxDepth];  // what lies above, leaf-most first
  std::uint32_t base_frames;
  std::uint64_t walked[kMaxDepth];
  StepResult result;
};
Stepper g_stepper;

std::uint64_t Register(const ucontext_t& context, int index) {
  return static_cast<std::uint64_t>(context.uc_mcontext.gregs[index]);
}

// A call is an instruction of at most 8 bytes that pushes the address behind itself.
void FollowCalls(Stepper& stepper, std::uint64_t pc, std::uint64_t sp) {
  while (stepper.depth > 0 && stepper.calls[stepper.depth - 1].slot < sp) --stepper.depth;
  if (sp == stepper.last_sp - 8) {
    const auto pushed = *reinterpret_cast<const std::uint64_t*>(sp);
    if (pushed - stepper.last_pc >= 2 && pushed - stepper.last_pc <= 8) {
      stepper.calls[stepper.depth++] = {sp, pushed};
    }
  }
  stepper.last_pc = pc;
  stepper.last_sp = sp;
}

bool IsApart(const Stepper& stepper, std::uint64_t pc) {
  for (const CodeSpan& span : *stepper.apart) {
    const auto inside = [&](std::uint64_t at) { return at >= span.start && at < span.limit; };
    if (inside(pc)) return true;
    for (std::uint32_t i = 0; i < stepper.depth; ++i) {
      if (inside(stepper.calls[i].return_address)) return true;
    }
  }
  return false;
}

bool SameStack(const Stepper& stepper, handler::WalkResult walked, std::uint64_t pc) {
  if (walked.end != handler::WalkEnd::kComplete) return false;
  if (walked.frames != 1 + stepper.depth + stepper.base_frames) return false;
  if (stepper.walked[0] != pc) return false;
  for (std::uint32_t i = 0; i < stepper.depth; ++i) {
    const Call& call = stepper.calls[stepper.depth - 1 - i];
    if (stepper.walked[1 + i] != call.return_address - 1) return false;
  }
  for (std::uint32_t i = 0; i < stepper.base_frames; ++i) {
    if (stepper.walked[1 + stepper.depth + i] != stepper.base[i]) return false;
  }
  return true;
}

void Compare(Stepper& stepper, const ucontext_t& context) {
  const std::uint64_t pc = Register(context, REG_RIP);
  FollowCalls(stepper, pc, Register(context, REG_RSP));
  StepResult& result = stepper.result;
  const bool apart = IsApart(stepper, pc);
  ++(apart ? result.apart_steps : result.steps);
  if (stepper.depth > result.deepest) result.deepest = stepper.depth;
  // Every other time as on a stack that is not known, which is probed.
  const bool known = (result.steps + result.apart_steps) % 2 == 0;
  const handler::WalkResult walked = handler::Walk(
      context, known ? stepper.stack : handler::StackBounds{}, stepper.walked, kMaxDepth);
  if (SameStack(stepper, walked, pc)) return;
  if (apart) {
    ++result.apart_mismatches;
    return;
  }
  if (result.mismatches < 32) {
    const std::uint32_t true_frames = 1 + stepper.depth + stepper.base_frames;
    result.first[result.mismatches] = {pc, true_frames, walked.frames, walked.end};
  }
  ++result.mismatches;
}

// A breakpoint instruction begins and ends the stepping; between them every instruction traps.
void OnTrap(int, siginfo_t* info, void* argument) {
  auto& context = *static_cast<ucontext_t*>(argument);
  Stepper& stepper = g_stepper;
  if (info->si_code == TRAP_TRACE) return Compare(stepper, context);
  stepper.running = !stepper.running;
  greg_t& flags = context.uc_mcontext.gregs[REG_EFL];
  if (!stepper.running) {
    flags &= ~kTrapFlag;
    return;
  }
  flags |= kTrapFlag;
  stepper.last_pc = Register(context, REG_RIP);
  stepper.last_sp = Register(context, REG_RSP);
  const handler::WalkResult walked =
      handler::Walk(context, stepper.stack, stepper.walked, kMaxDepth);
  stepper.base_frames = walked.frames - 1;
  for (std::uint32_t i = 0; i < stepper.base_frames; ++i) stepper.base[i] = stepper.walked[i + 1];
}

}  // namespace

__attribute__((noinline)) StepResult StepThrough(long (*run)(), handler::StackBounds stack,
                                                 const std::vector<CodeSpan>& apart) {
  g_stepper = {};
  g_stepper.stack = stack;
  g_stepper.apart = &apart;
  struct sigaction action = {};
  struct sigaction previous = {};
  action.sa_sigaction = OnTrap;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGTRAP, &action, &previous);
  asm volatile("int3" ::: "memory");
  run();
  asm volatile("int3" ::: "memory");
  sigaction(SIGTRAP, &previous, nullptr);
  return g_stepper.result;
}

}  // namespace pprof::unwind
